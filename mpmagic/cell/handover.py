"""What a commit is handed must be what the worker had there, though its work went on since.

The kernel commits when an iteration's work is long over. A temporary that the work may change after
a commit got it is therefore sent as it was then: as a copy, where the commit only reads what is in
it (``total += image``), or under watch, where it might keep the very object. A commit that keeps no
more than a reference (``images.append(image)``) gets the object as it is in the end, like the
serial loop's. Where the change is plain to see and a copy wouldn't do, the kernel makes it.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable, Iterator, Sequence

from mpmagic.cell import tables
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.paths import root_of
from mpmagic.cell.roles import KEEPING, Role, Roles, makes_new
from mpmagic.cell.syntax import walk
from mpmagic.cell.touching import Touch, Touches
from mpmagic.cell.unit import Stage, Unit
from mpmagic.cell.vocabulary import EVENT

__all__ = ["Handover", "Hold"]


class Hold(enum.Enum):
    """How an operand is sent that the work may change after the commit."""

    COPY = "copy"
    WATCH = "watch"


def _outermost(units: Iterable[Unit]) -> Iterator[Unit]:
    """The commits that aren't part of others."""
    for unit in units:
        if unit.stage is Stage.COMMIT:
            yield unit
        else:
            for block in unit.blocks:
                yield from _outermost(block)


class Handover:
    """What the commits of a loop are handed, and what becomes of it afterwards.

    Parameters
    ----------
    dependence
        The stages.
    """

    def __init__(self, dependence: Dependence) -> None:
        self._dependence = dependence
        self._private = dependence.private
        self._touches = Touches(dependence)

    def keep(self) -> None:
        """Temporaries that a commit got, and might keep, are the kernel's if the work changes them.

        The stages are those that are known so far.
        """
        if not self._touches.any_changes:
            return
        dependence, self._private = self._dependence, self._dependence.private
        for unit in _outermost(dependence.units):
            for name, role in self._roles(unit).items():
                if role is not Role.READ and self._touch(unit, {name}, role) is Touch.CHANGED:
                    why = f"line {unit.node.lineno}, a commit, was handed `{name}`"
                    dependence.kernel.setdefault(name, why)

    def holds(self, unit: Unit, site: ast.stmt, operands: Sequence[ast.expr]) -> list[Hold | None]:
        """How each operand of a commit is sent; `site` is the kernel's form of it."""
        held: list[Hold | None] = [None] * len(operands)
        shared = [self._shared(operand) & self._private for operand in operands]
        if not self._touches.any or not any(shared):
            return held
        if self._touch(unit, set().union(*shared), Role.UNKNOWN) is Touch.NONE:
            return held
        found: dict[int, Role] = {}
        roles = Roles(self._dependence, _operand_index, found)
        for node in walk(site):
            if isinstance(node, ast.stmt):
                roles.visit(node)
        for index, names in enumerate(shared):
            role = found.get(index, Role.UNKNOWN)
            if names and self._touch(unit, names, role) is not Touch.NONE:
                held[index] = Hold.COPY if role is Role.READ else Hold.WATCH
        return held

    def _roles(self, unit: Unit) -> dict[str, Role]:
        """What a commit does with the temporaries that it's handed, by their names."""
        found: dict[str, Role] = {}
        if unit.spelt & self._private:
            sent = Roles(self._dependence, self._sent_whole, found)
            inside = Roles(self._dependence, self._sent_by_name, found)
            for inner in unit.walk():
                (sent if inner is unit else inside).visit(inner.node)
        return found

    def _touch(self, unit: Unit, names: set[str], role: Role) -> Touch:
        """What the work may do, after the commit has got it, to an object under these names."""
        order = self._dependence.every_unit()
        own = set(map(id, unit.walk()))
        following = self._dependence.following(order, order.index(unit))
        later = [u for u in following if id(u) not in own]
        if role is Role.KEPT:  # until somebody looks, it's the same object
            later = later[self._next_reader(later) :]
        work = [u for u in later if u.stage is Stage.WORK]
        return max((self._touches.of(name, work) for name in names), default=Touch.NONE)

    def _next_reader(self, later: list[Unit]) -> int:
        """Position of the first commit that may look into what shared state holds."""
        for position, unit in enumerate(later):
            if unit.stage is Stage.COMMIT and not self._only_stores(unit):
                return position
        return len(later)

    def _only_stores(self, unit: Unit) -> bool:
        """Whether a commit looks at nothing that shared state holds."""
        match unit.node:
            case ast.Expr(value=ast.Call(func=ast.Attribute() as func, args=args, keywords=[])):
                owner = isinstance(func.value, ast.Name)
                return owner and func.attr in KEEPING and not any(map(self._touches_kernel, args))
            case ast.Assign(targets=[target], value=value):
                plain = isinstance(target, ast.Name | ast.Subscript | ast.Attribute)
                return plain and not self._touches_kernel(value)
            case ast.Continue() | ast.Break() | ast.Pass():
                return True
            case _:
                return False

    def _touches_kernel(self, node: ast.expr) -> bool:
        kernel = self._dependence.kernel
        return any(isinstance(n, ast.Name) and n.id in kernel for n in walk(node))

    def _sent_by_name(self, node: ast.expr) -> set[str] | None:
        if isinstance(node, ast.Name):
            return {node.id} & self._private
        return None

    def _sent_whole(self, node: ast.expr) -> set[str] | None:
        if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Starred | ast.BoolOp):
            return None
        if isinstance(node, ast.IfExp) or self._touches_kernel(node):
            return self._sent_by_name(node)
        return self._shared(node) & self._private

    def _shared(self, node: ast.expr) -> set[str]:
        """Names from whose objects an expression may hand out (a part of) one, not a new one."""
        match node:
            case ast.Name(id=name):
                return {name}
            case ast.Attribute(value=part) | ast.Subscript(value=part) | ast.NamedExpr(value=part):
                return self._shared(part)
            case ast.Call(func=func):
                if self._makes_new(func):
                    return set()
                return {n.id for n in walk(node) if isinstance(n, ast.Name)}
            case ast.Tuple() | ast.List() | ast.Set() | ast.Dict() | ast.IfExp() | ast.BoolOp():
                return {n.id for n in walk(node) if isinstance(n, ast.Name)}
            case _:
                return set()

    def _makes_new(self, func: ast.expr) -> bool:
        if isinstance(func, ast.Attribute):
            if func.attr in tables.FRESH_METHODS:
                return True
            if root_of(func) in self._private:
                return False
        return makes_new(func, self._dependence.knowledge)


def _operand_index(node: ast.expr) -> set[int] | None:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int() as position)):
            return {position - 1} if name == EVENT else None
        case _:
            return None
