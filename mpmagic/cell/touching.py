"""What the work may do to the object of a temporary: change it, perhaps change it, or neither.

A call of something unknown perhaps changes whatever it can reach; so does an augmented assignment
to a name, which rebinds it where the object can't be changed.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

from mpmagic.cell import tables
from mpmagic.cell.attribute import attribute
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.handling import Handling, handling
from mpmagic.cell.knowledge import UNKNOWN
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Unit
from mpmagic.puremodules import PURE_MODULES

__all__ = ["Touch", "Touches"]

_COMPOUND: Final = (ast.If, ast.While, ast.For, ast.With, ast.Try, ast.TryStar, ast.Match)


class Touch(enum.IntEnum):
    """What becomes of an object."""

    NONE = 0
    PERHAPS = 1
    CHANGED = 2


class Touches:
    """What the units of a loop's body do to the objects of its temporaries.

    Parameters
    ----------
    dependence
        The loop's names.
    """

    def __init__(self, dependence: Dependence) -> None:
        self._dependence = dependence
        self._bound = dependence.whole.binds.keys() | dependence.fresh
        self._of_unit: dict[int, tuple[frozenset[str], frozenset[str]]] = {}

    @cached_property
    def any(self) -> bool:
        """Whether anything is touched at all."""
        return any(any(self._by(unit)) for unit in self._dependence.every_unit())

    @cached_property
    def any_changes(self) -> bool:
        """Whether anything is changed for sure."""
        return any(self._by(unit)[0] for unit in self._dependence.every_unit())

    def of(self, name: str, units: Iterable[Unit]) -> Touch:
        """The worst that the units do to the object of a name."""
        group = self._group(name)
        worst = Touch.NONE
        for unit in units:
            changed, perhaps = self._by(unit)
            if not group.isdisjoint(changed):
                return Touch.CHANGED
            if not group.isdisjoint(perhaps):
                worst = Touch.PERHAPS
        return worst

    def _group(self, name: str) -> set[str]:
        """Names that may lead to the object of `name`, or be reached from it."""
        roots = self._dependence.alias_roots(name)
        return {n for n in self._bound if not roots.isdisjoint(self._dependence.alias_roots(n))} | {
            name
        }

    def _by(self, unit: Unit) -> tuple[frozenset[str], frozenset[str]]:
        known = self._of_unit.get(id(unit))
        if known is None:
            changed, perhaps = set[str](), set[str]()
            for name, mutation in unit.header.mutates.items():
                node = mutation.node
                rebinds = isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
                (perhaps if rebinds else changed).add(name)
            for node in _own_nodes(unit):
                if type(node) is ast.Call:
                    perhaps |= self._by_call(node)
            known = frozenset(changed & self._bound), frozenset(perhaps & self._bound)
            self._of_unit[id(unit)] = known
        return known

    def _by_call(self, call: ast.Call) -> set[str]:
        callee = self._callee(call.func)
        found = self._receiver(call.func) if callee is UNKNOWN else set()
        for part in (*call.args, *(k.value for k in call.keywords)):
            names = {n.id for n in walk(part) if isinstance(n, ast.Name)} & self._bound
            found |= {n for n in names if not self._leaves(callee, call, part, n)}
        return found

    def _callee(self, func: ast.expr) -> Any:
        if isinstance(func, ast.Name) and func.id in self._dependence.whole.binds:
            return UNKNOWN
        return self._dependence.knowledge.resolve(func)

    def _receiver(self, func: ast.expr) -> set[str]:
        """Names that lead to the object whose method is called, unless that only reads it."""
        if isinstance(func, ast.Name):
            return {func.id}
        if not isinstance(func, ast.Attribute) or func.attr in tables.READING_METHODS:
            return set()
        if self._dependence.knowledge.type_of(func.value) is not None:
            return set()  # what methods of known types change is known
        return {n.id for n in walk(func.value) if isinstance(n, ast.Name)}

    def _leaves(self, callee: Any, call: ast.Call, part: ast.expr, name: str) -> bool:
        """Whether a call leaves an argument, or what is taken from it, as it is."""
        if callee is UNKNOWN:
            return False
        if tables.never_mutates_arguments(callee) or _is_pure(callee, call):
            return True
        if not isinstance(part, ast.Name):
            return False
        return handling(call, name, self._dependence.knowledge) <= Handling.KEPT


def _own_nodes(unit: Unit) -> list[ast.AST]:
    """The nodes of a simple statement, or of a compound one's header."""
    node = unit.node
    if not isinstance(node, _COMPOUND):
        return unit.nodes
    match node:
        case ast.If(test=part) | ast.While(test=part) | ast.For(iter=part):
            return walk(part)
        case ast.Match(subject=part, cases=cases):
            return walk(part, *(case.guard for case in cases if case.guard is not None))
        case ast.With(items=items):
            return walk(*items)
        case _:
            return []


def _is_pure(callee: Any, call: ast.Call) -> bool:
    module = str(attribute(callee, "__module__", "") or "").partition(".")[0]
    if module in PURE_MODULES:
        return True
    inputs = tables.inputs_of(callee)
    if inputs is not None or module == "numpy":
        named = any(keyword.arg in (None, "out") for keyword in call.keywords)
        spread = any(isinstance(a, ast.Starred) for a in call.args)
        fits = inputs is None or len(call.args) <= inputs
        return fits and not named and not spread and not tables.mutated_arguments(callee)
    return False
