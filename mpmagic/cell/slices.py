"""Sliced state: what each iteration reads and writes in a slot of its own alone.

In ``a[i] = f(a[i])`` every access to `a` goes through the loop variable, so that iterations with
distinct items never meet. The same holds for an item that the body stores into
(``row["n"] = len(row["text"])``). Such a store is mirrored: the worker makes it on its copy, so
that the rest of the iteration sees it, and the kernel makes it as a commit, with the operands that
the worker computed. Whether the items are distinct, and their objects disjoint, is looked at when
the loop is reached.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from mpmagic.cell.columns import Columns, find_columns
from mpmagic.cell.effects import Effects
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.paths import root_of
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.syntax import children, walk
from mpmagic.cell.unit import Unit

__all__ = ["Slice", "SliceKind", "accesses_in", "find_slices", "store_targets"]

_DEFERRED: Final = (
    ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.GeneratorExp
)  # fmt: skip


class SliceKind(enum.Enum):
    """How an iteration finds its slot."""

    SLOT = "a[i]"
    COLUMNS = "columns of a frame, or keys of a dict, read and stored in different ones"
    ITEM = "the loop's item itself"


class Slice(NamedTuple):
    """Sliced state.

    Attributes
    ----------
    name
        Its name.
    kind
        How an iteration finds its slot.
    variable
        The loop variable that is the slot's key; for an item its own name, for columns none.
    deep
        Whether stores reach into the objects that slots hold.
    attributes
        Names of attributes that are stored.
    columns
        Which columns are read, and which are stored.
    """

    name: str
    kind: SliceKind
    variable: str
    deep: bool
    attributes: frozenset[str]
    columns: Columns | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the worker makes the stores too."""
        return self.kind is not SliceKind.COLUMNS


def store_targets(node: ast.AST) -> list[ast.expr]:
    """The places that a simple statement stores into; empty if it does anything else too."""
    match node:
        case ast.Assign(targets=targets):
            places = [p for t in targets for p in _flat(t)]
        case ast.AugAssign(target=target):
            places = [target]
        case ast.AnnAssign(target=target, value=ast.expr()):
            places = [target]
        case _:
            return []
    plain = all(isinstance(p, ast.Attribute | ast.Subscript) for p in places)
    return places if plain else []


def _flat(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _flat(element)
    else:
        yield target


def find_slices(
    units: list[Unit], targets: set[str], whole: Effects, scanner: Scanner
) -> dict[str, Slice]:
    """The names of a loop's body that are sliced as far as the source tells.

    Parameters
    ----------
    units
        All units of the body.
    targets
        Names of the loop's target.
    whole
        What the body does.
    scanner
        Tells what an expression does.
    """
    variables = targets - whole.binds.keys()
    tries = (u.blocks[0] for u in units if isinstance(u.node, ast.Try | ast.TryStar))
    protected = {inner.node for block in tries for unit in block for inner in unit.walk()}
    found = {}
    for name in whole.mutates.keys() - whole.binds.keys() - whole.hidden:
        stores = _stores(name, units, scanner)
        if not stores or _is_aliased(name, whole):
            continue
        # Made in the worker, a store raises where its handlers are.
        under_try = any(u.node in protected and name in u.header.mutates for u in units)
        slice_ = _slice(name, units, variables, stores, under_try=under_try)
        if slice_ is not None and not (slice_.columns and _rebound(slice_.columns, whole)):
            found[name] = slice_
    return found


def _rebound(columns: Columns, whole: Effects) -> bool:
    """Whether the body may change what the columns' keys are."""
    return not columns.names().isdisjoint(whole.binds.keys() | whole.mutates.keys() | whole.hidden)


def _stores(name: str, units: list[Unit], scanner: Scanner) -> list[ast.expr]:
    """The places of `name` that are stored into; empty if it's changed in any other way."""
    places = []
    for unit in units:
        if name not in unit.header.mutates:
            continue
        targets = [t for t in store_targets(unit.node) if root_of(t) == name]
        value = getattr(unit.node, "value", None)
        inside = [*(t.slice for t in targets if isinstance(t, ast.Subscript)), value]
        parts = [part for part in inside if part is not None]
        if not targets or name in scanner.scan(parts).mutates:
            return []
        places += targets
    return places


def _is_aliased(name: str, whole: Effects) -> bool:
    """Whether it is changed through another name."""
    return any(
        name in roots and other in whole.mutates for other, roots in whole.aliases.items()
    ) or bool(whole.aliases.get(name))


def _slice(
    name: str,
    units: list[Unit],
    variables: set[str],
    stores: list[ast.expr],
    *,
    under_try: bool,
) -> Slice | None:
    attributes = frozenset(t.attr for t in stores if isinstance(t, ast.Attribute))
    accesses = list(_accesses(name, units))
    if not under_try and not any(_is_read(path) for path in accesses):
        return None  # what is stored only is a commit, whatever the slots
    if name in variables:
        if any(_holds_slice(t) for t in stores):
            return None
        return Slice(name, SliceKind.ITEM, name, True, attributes)
    leads = {_lead(a) for a in accesses}
    variable = leads.pop() if len(leads) == 1 else None
    if variable not in variables:
        return _columns(name, accesses, stores)
    assert variable is not None
    deep = any(not _is_slot(t) for t in stores)
    augmented = any(isinstance(u.node, ast.AugAssign) and name in u.header.mutates for u in units)
    if deep and any(_holds_slice(t) for t in stores):
        return None
    return Slice(name, SliceKind.SLOT, variable, deep or augmented, attributes)


def _columns(name: str, accesses: list[list[ast.AST]], stores: list[ast.expr]) -> Slice | None:
    found = find_columns(accesses, stores) if any(map(_is_read, accesses)) else None
    if found is None:
        return None
    names = found.names() or {""}
    if any(_rebinds(n, path) for n in names for path in accesses):
        return None
    return Slice(name, SliceKind.COLUMNS, "", False, frozenset(), found)


def _accesses(name: str, units: list[Unit]) -> Iterator[list[ast.AST]]:
    """Each occurrence of a name in units, see `accesses_in`."""
    spelling = [unit for unit in units if name in unit.spelt]
    return accesses_in((part for unit in spelling for part in _own_parts(unit)), name)


def accesses_in(nodes: Iterable[ast.AST], name: str) -> Iterator[list[ast.AST]]:
    """Each occurrence of a name, followed by the nodes around it, innermost first."""
    for root in nodes:
        stack: list[list[ast.AST]] = [[root]]
        while stack:
            path = stack.pop()
            if isinstance(path[0], ast.Name) and path[0].id == name:
                yield path
            stack.extend([child, *path] for child in children(path[0]))


def _own_parts(unit: Unit) -> Iterator[ast.AST]:
    """What of a unit isn't in a block of it."""
    if not unit.blocks:
        yield unit.node
    else:
        yield from _header_parts(unit.node)


def _header_parts(node: ast.stmt) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        if field in ("body", "orelse", "finalbody"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.ExceptHandler):
                yield from (p for p in (part.type,) if p is not None)
            elif isinstance(part, ast.match_case):
                yield part.pattern
                yield from (p for p in (part.guard,) if p is not None)
            elif isinstance(part, ast.AST):
                yield part


def _is_read(path: list[ast.AST]) -> bool:
    """Whether the place that a name leads to is loaded, rather than stored into."""
    inner = path[0]
    for node in path[1:]:
        if not isinstance(node, ast.Attribute | ast.Subscript) or node.value is not inner:
            break
        inner = node
    return isinstance(getattr(inner, "ctx", None), ast.Load)


def _lead(path: list[ast.AST]) -> str | None:
    """The variable through which a name is accessed."""
    place = path[1] if len(path) > 1 else None
    if not isinstance(place, ast.Subscript) or place.value is not path[0]:
        return None
    key = place.slice
    if isinstance(key, ast.Tuple) and key.elts:
        key = key.elts[0]
    return key.id if isinstance(key, ast.Name) and not _rebinds(key.id, path) else None


def _rebinds(variable: str, path: list[ast.AST]) -> bool:
    """Whether a scope around an access may give the loop variable another value."""
    for node in path:
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
            if any(variable in bound_names(g.target) for g in node.generators):
                return True
        elif isinstance(node, _DEFERRED):
            return True
    return False


def _is_slot(place: ast.expr) -> bool:
    """Whether a store replaces (a part of) the slot itself: ``a[i]``, ``a[i, j]``."""
    return isinstance(place, ast.Subscript) and isinstance(place.value, ast.Name)


def _holds_slice(place: ast.expr) -> bool:
    return any(isinstance(n, ast.Slice) for n in walk(place))
