"""Which names hold an object that the iteration has made itself.

In ``part = list(base)`` or ``a = a - a.mean()`` the name leads to what others hold too, but the
object that it is bound to is new: to change that very object changes nothing shared.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.paths import is_paired
from mpmagic.cell.unit import Unit

__all__ = ["makes_its_own"]

_COPIES: Final = frozenset({"list", "dict", "set", "sorted", "tuple", "frozenset"})
_DISPLAYS: Final = (
    ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp,
)  # fmt: skip
_SLICED_BY_COPY: Final = (list, str, bytes, tuple)


def makes_its_own(
    name: str, at: Unit, body: Iterable[Unit], is_target: bool, knowledge: Knowledge
) -> bool:
    """Whether `name` surely holds an object of this iteration's own when unit `at` runs.

    Parameters
    ----------
    name
        A name that the body binds and that carries nothing from one iteration to the next.
    at
        The unit.
    body
        The units of the body itself, those inside them apart.
    is_target
        Whether the loop binds it to the item first.
    knowledge
        What names stand for.
    """
    top = list(body)
    order = [unit for outer in top for unit in outer.walk()]
    binding = [unit for unit in order if name in unit.header.binds]
    if not all(_makes(name, unit, knowledge) for unit in binding):
        return False
    if not is_target:
        return True
    # Until a statement of the body itself has bound it anew it's the item.
    before = order[: order.index(at)]
    return any(u in before for u in top if not u.blocks and name in u.header.binds and _assigns(u))


def _assigns(unit: Unit) -> bool:
    return isinstance(unit.node, ast.Assign | ast.AnnAssign)


def _makes(name: str, unit: Unit, knowledge: Knowledge) -> bool:
    if not unit.header.aliases.get(name):
        return True
    values = list(_values_of(name, unit.node))
    return bool(values) and all(v is not None and _is_new(v, knowledge) for v in values)


def _values_of(name: str, node: ast.stmt) -> Iterator[ast.expr | None]:
    """What a statement assigns to a name; None where that isn't an expression of its own."""
    if isinstance(node, ast.AnnAssign):
        yield node.value
    for target in node.targets if isinstance(node, ast.Assign) else ():
        assert isinstance(node, ast.Assign)
        if isinstance(target, ast.Name):
            yield node.value if target.id == name else None
        elif is_paired(target, node.value):
            assert isinstance(target, ast.Tuple | ast.List)
            assert isinstance(node.value, ast.Tuple | ast.List)
            for part, value in zip(target.elts, node.value.elts, strict=True):
                if isinstance(part, ast.Name) and part.id == name:
                    yield value
        else:
            yield None


def _is_new(node: ast.expr, knowledge: Knowledge) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=function)) if function in _COPIES:
            hidden = knowledge.is_hidden(function) or function in knowledge.namespace
            return not hidden
        case ast.Subscript(value=whole, slice=ast.Slice()):
            return knowledge.type_of(whole) in _SLICED_BY_COPY
        case _:
            return isinstance(node, _DISPLAYS)
