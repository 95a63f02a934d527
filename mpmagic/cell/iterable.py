"""Whether a loop's iterable may be read ahead of the commits.

The kernel pulls items before the commits of earlier iterations have run. That is the serial loop
only if the iterable doesn't look, while it is iterated, at what the commits change.
"""

from __future__ import annotations

import ast
import types
from typing import Final

from mpmagic.cell.columns import find_columns
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import Refusal
from mpmagic.cell.knowledge import UNKNOWN, Knowledge
from mpmagic.cell.paths import root_of
from mpmagic.cell.slices import accesses_in, store_targets
from mpmagic.cell.syntax import walk

__all__ = ["check_read_ahead", "only_labels_bar", "only_past_slots", "stored_places"]

# Callables that are done with their arguments when they return.
_EAGER: Final = frozenset(
    {"range", "list", "tuple", "sorted", "set", "frozenset", "len", "dict", "sum", "min", "max",
     "str", "int", "fromkeys", "copy", "deepcopy", "iterrows", "groupby", "split",
     "splitlines", "tolist", "unique", "array", "arange", "glob", "listdir"}
)  # fmt: skip
# Attributes of frames that are replaced rather than changed.
_FIXED: Final = frozenset({"columns", "index", "shape"})
# Methods of a progress bar that change what it shows, not what it iterates over.
_LABELS: Final = frozenset(
    {"set_description", "set_description_str", "set_postfix", "set_postfix_str", "refresh",
     "write", "clear", "display"}
)  # fmt: skip
_SLICED_BY_COPY: Final = (list, tuple, str, bytes, bytearray)
# Callables that read ahead no more than what they are given.
_PASSING: Final = frozenset({"enumerate", "zip", "tqdm"})
_SLOTWISE: Final = frozenset({"enumerate", "items", "keys"})


def check_read_ahead(iterable: ast.expr, dependence: Dependence) -> Refusal | None:
    """The reason why the iterable can't be read ahead of the commits, if there is one."""
    changed = dependence.kernel | {n: f"it stores into `{n}`" for n in dependence.slices}
    changed |= dict.fromkeys(dependence.prepared.names, "it runs ahead of the work")
    late = dependence.iterable.late
    for name in sorted((_lazy_reads(iterable, dependence.knowledge) | late) & changed.keys()):
        if only_past_slots(name, iterable, dependence) or only_labels_bar(name, dependence):
            continue
        if name not in late and _names_columns(name, iterable, dependence):
            continue
        if name not in late and _reads_other_columns(name, iterable, dependence):
            continue
        reason = f"the iterable reads `{name}` while the loop changes it: {changed[name]}"
        return Refusal(iterable.lineno, name, reason)
    for name in sorted(late & dependence.whole.binds.keys()):
        reason = f"the iterable reads `{name}`, which the body binds, for each item anew"
        return Refusal(iterable.lineno, name, reason)
    return None


def _lazy_reads(node: ast.expr, knowledge: Knowledge) -> set[str]:
    """Names that iterating over the value of `node` may look at later."""
    if isinstance(node, ast.Call) and _is_eager(node, knowledge):
        return set()
    if isinstance(node, ast.Call) and _callee_name(node) in _PASSING:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return set().union(*(_lazy_reads(part, knowledge) for part in given))
    if isinstance(node, ast.Attribute) and node.attr in _FIXED:
        return set()
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.Compare | ast.BinOp):
        return set()
    if isinstance(node, ast.Subscript):
        copied = isinstance(node.slice, ast.Slice) and _is_sliced_by_copy(node.value, knowledge)
        return set() if copied else _lazy_reads(node.value, knowledge)
    return {n.id for n in walk(node) if isinstance(n, ast.Name)}


def _is_eager(node: ast.Call, knowledge: Knowledge) -> bool:
    """Whether a call is done with its arguments when it returns."""
    if _callee_name(node) not in _EAGER:
        return False
    if not isinstance(node.func, ast.Name):
        return True
    callee = knowledge.value(node.func.id)
    own = isinstance(callee, types.FunctionType) and callee.__globals__ is knowledge.namespace
    return not own and node.func.id not in knowledge.definitions


def _is_sliced_by_copy(node: ast.expr, knowledge: Knowledge) -> bool:
    """Whether a slice of it is a copy; that of an array is a view, that of a subclass anything.

    Of what the cell makes the type is looked at when the loop is reached.
    """
    if not isinstance(node, ast.Name):
        return False
    kind = knowledge.type_of(node)
    return kind in _SLICED_BY_COPY or (kind is None and knowledge.is_hidden(node.id))


def _callee_name(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def only_past_slots(name: str, iterable: ast.expr, dependence: Dependence) -> bool:
    """Whether the loop stores only into the slot that the iteration was given."""
    if isinstance(iterable, ast.Call) and _callee_name(iterable) == "itertuples":
        return _stores_own_rows(name, dependence)
    slotwise = isinstance(iterable, ast.Name) or (
        isinstance(iterable, ast.Call) and _callee_name(iterable) in _SLOTWISE
    )
    target = dependence.target
    first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
    if not slotwise or not isinstance(first, ast.Name) or first.id not in dependence.items:
        return False
    if isinstance(iterable, ast.Name) and not _is_mapping(name, dependence):
        return False
    return all(
        isinstance(place, ast.Subscript)
        and isinstance(place.value, ast.Name)
        and place.value.id == name
        and isinstance(place.slice, ast.Name)
        and place.slice.id == first.id
        for place in stored_places(name, dependence)
    )


def _stores_own_rows(frame: str, dependence: Dependence) -> bool:
    """Whether a loop over a frame's rows stores into the row that it was given only."""
    places = stored_places(frame, dependence)
    return all(_is_own_row(place, frame, dependence) for place in places)


def _is_frame_type(kind: type | None) -> bool:
    if kind is None:
        return False
    return str(kind.__module__).partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def _names_columns(name: str, iterable: ast.expr, dependence: Dependence) -> bool:
    """Whether the loop is over the names of a frame's columns: those that it has when it begins."""
    if not isinstance(iterable, ast.Name):
        return False
    node = ast.Name(id=name, ctx=ast.Load())
    kind = dependence.knowledge.type_of(node)
    # Of one that the cell makes the type is looked at when the loop is reached.
    hidden = kind is None and dependence.knowledge.is_hidden(name)
    if not hidden and not _is_frame_type(kind):
        return False
    places = stored_places(name, dependence)
    return all(isinstance(p, ast.Subscript) and root_of(p) == name for p in places)


def _reads_other_columns(name: str, iterable: ast.expr, dependence: Dependence) -> bool:
    """Whether the iterable is made of columns of a frame, and the loop stores into others."""
    value = dependence.knowledge.value(name)
    if value is not UNKNOWN and type(value) is not dict and not _is_frame_type(type(value)):
        return False
    read = find_columns(accesses_in([iterable], name), [])
    if read is None or not all(isinstance(key, ast.Constant) for key in read.read):
        return False
    if value is not UNKNOWN and any(hasattr(type(value), n) for n in read.attributes):
        return False
    stored = [_stored_key(place, name) for place in stored_places(name, dependence)]
    keys = {key.value for key in read.read if isinstance(key, ast.Constant)}
    return None not in stored and keys.isdisjoint(stored)


def _stored_key(place: ast.AST, name: str) -> str | None:
    match place:
        case ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=str(key))):
            return key if owner == name else None
        case ast.Subscript(
            value=ast.Attribute(value=ast.Name(id=owner), attr="at" | "loc"),
            slice=ast.Tuple(elts=[_, ast.Constant(value=str(key))]),
        ):
            return key if owner == name else None
        case _:
            return None


def stored_places(name: str, dependence: Dependence) -> list[ast.AST]:
    """The places of `name` that are stored into, and the statements that change it otherwise."""
    found: list[ast.AST] = []
    for unit in dependence.every_unit():
        changed = {n for n in unit.header.mutates if name in dependence.alias_roots(n)}
        places = [p for p in store_targets(unit.node) if root_of(p) in changed]
        found += places
        if changed - {root_of(place) for place in places}:
            found.append(unit.node)
    return found


def _is_own_row(place: ast.AST, frame: str, dependence: Dependence) -> bool:
    match place:
        case ast.Subscript(
            value=ast.Attribute(value=ast.Name(id=name), attr="at" | "loc"),
            slice=ast.Tuple(elts=[ast.Attribute(value=ast.Name(id=row), attr="Index"), _]),
        ):
            return name == frame and row in dependence.items
        case ast.Subscript(value=ast.Name(id=name)):
            return name == frame  # a column, which is replaced by another
        case _:
            return False


def only_labels_bar(name: str, dependence: Dependence) -> bool:
    """Whether `name` is a progress bar of which the body changes the labels, and no more."""
    kind = dependence.knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
    if kind is None and not dependence.knowledge.is_hidden(name):
        return False
    # Of a bar that the cell makes the type is looked at when the loop is reached.
    if kind is not None and str(kind.__module__).partition(".")[0] != "tqdm":
        return False
    touching = [u for u in dependence.every_unit() if name in u.header.touched()]
    return all(_labels(u.node, name, dependence) for u in touching)


def _labels(node: ast.stmt, name: str, dependence: Dependence) -> bool:
    match node:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr=method),
                args=args,
                keywords=keywords,
            )
        ):
            given = dependence.scanner.scan([*args, *keywords])
            return owner == name and method in _LABELS and name not in given.touched()
        case _:
            return False


def _is_mapping(name: str, dependence: Dependence) -> bool:
    kind = dependence.knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
    return kind is not None and issubclass(kind, dict)
