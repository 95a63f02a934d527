"""What a commit does with what it is handed: keep a reference, read what is in it, or who knows."""

from __future__ import annotations

import ast
import builtins
import collections
import enum
import numbers
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic, TypeVar

from mpmagic.cell import tables
from mpmagic.cell.attribute import attribute
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.syntax import children, walk

__all__ = ["KEEPING", "Role", "Roles", "makes_new"]

_MAPPINGS: Final = (dict, list, collections.defaultdict, collections.OrderedDict,
                    collections.Counter, collections.deque)  # fmt: skip
_PLAIN: Final = (*_MAPPINGS, set, frozenset, tuple, str, bytes, bytearray)
KEEPING: Final = frozenset({"append", "appendleft", "add", "insert", "put", "put_nowait"})
_READING: Final = frozenset(
    {"extend", "extendleft", "write", "writelines", "writerow", "writerows"}
)
_READING_PLAIN: Final = frozenset(
    {"update", "intersection_update", "difference_update", "symmetric_difference_update",
     "subtract", "fill"}
)  # fmt: skip
_INDEXERS: Final = frozenset({"loc", "iloc", "at", "iat", "flat"})
_NEW: Final = frozenset({"list", "dict", "set", "frozenset", "tuple", "sorted"})


_Handed = TypeVar("_Handed", bound=Hashable)


class Role(enum.Enum):
    """What a commit does with an operand."""

    KEPT = "kept"
    READ = "read"
    UNKNOWN = "unknown"


class Roles(Generic[_Handed]):
    """The roles of what a commit is handed, found by visiting what the kernel evaluates.

    Parameters
    ----------
    dependence
        The stages.
    handed
        For an expression that the kernel doesn't evaluate itself: what it stands for; else None.
    found
        Takes the roles, by what has them.
    """

    def __init__(
        self,
        dependence: Dependence,
        handed: Callable[[ast.expr], Collection[_Handed] | None],
        found: dict[_Handed, Role],
    ) -> None:
        self._knowledge = dependence.knowledge
        self._handed = handed
        self._found = found

    def visit(self, node: ast.stmt) -> None:
        """Visit a simple statement, or a compound one without its blocks."""
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute() as func) as call):
                self._call(call, self._role_of_method(func))
            case ast.Expr(value=value):
                self._value(value, Role.UNKNOWN)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._value(value, self._store(target))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._value(value, self._store(target))
            case ast.AugAssign(target=target, value=value):
                self._keys(target)
                self._value(value, Role.READ if self._is_plain(target) else Role.UNKNOWN)
            case ast.For(iter=value):
                self._value(value, Role.READ)
            case ast.If(test=value) | ast.While(test=value) | ast.Assert(test=value):
                self._value(value, Role.UNKNOWN)
            case ast.Match(subject=value):
                self._value(value, Role.UNKNOWN)
            case ast.With(items=items):
                for item in items:
                    self._value(item.context_expr, Role.UNKNOWN)
            case ast.Raise(exc=ast.expr() as value):
                self._value(value, Role.KEPT)
            case _:
                pass

    def _store(self, target: ast.expr) -> Role:
        """What storing into a target does with the value."""
        self._keys(target)
        match target:
            case ast.Name() | ast.Attribute():
                return Role.KEPT
            case ast.Tuple() | ast.List():
                return Role.READ
            case ast.Subscript(value=ast.Attribute(attr=attr)) if attr in _INDEXERS:
                return Role.READ
            case ast.Subscript(value=owner):
                kind = self._knowledge.type_of(owner)
                if kind is list and isinstance(target.slice, ast.Slice):
                    return Role.READ
                if kind in _MAPPINGS:
                    return Role.KEPT
                return Role.READ if tables.is_tabular(kind) else Role.UNKNOWN
            case _:
                return Role.UNKNOWN

    def _keys(self, target: ast.expr) -> None:
        for node in walk(target):
            if isinstance(node, ast.Subscript):
                self._value(node.slice, Role.READ)

    def _role_of_method(self, func: ast.Attribute) -> Role:
        kind = self._knowledge.type_of(func.value)
        known = kind is None or kind in _PLAIN or not str(kind.__module__).startswith("__main__")
        if func.attr in KEEPING and known:
            return Role.KEPT
        if func.attr in _READING and known:
            return Role.READ
        return Role.READ if func.attr in _READING_PLAIN and kind in _PLAIN else Role.UNKNOWN

    def _is_plain(self, node: ast.expr) -> bool:
        """Whether an operator on it reads what is in the other operand, and keeps no reference."""
        kind = self._knowledge.type_of(node)
        if kind is None:
            return False
        return kind in _PLAIN or tables.is_tabular(kind) or issubclass(kind, numbers.Number)

    def _call(self, call: ast.Call, role: Role) -> None:
        if isinstance(call.func, ast.Attribute):
            reads = call.func.attr in tables.FRESH_METHODS
            self._value(call.func.value, Role.READ if reads else Role.UNKNOWN)
        for argument in (*call.args, *(k.value for k in call.keywords)):
            self._value(argument, role)

    def _value(self, node: ast.expr, role: Role) -> None:
        """Note what becomes of the temporaries inside an expression, whose value has that role."""
        handed = self._handed(node)
        if handed is not None:
            for label in handed:
                known = self._found.get(label, role)
                self._found[label] = role if known is role else Role.UNKNOWN
            return
        inside = Role.KEPT if role is Role.READ else role
        match node:
            case ast.Constant() | ast.Lambda():
                return
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                for part in parts:
                    self._value(part, inside)
            case ast.Dict(keys=keys, values=values):
                for part in (*filter(None, keys), *values):
                    self._value(part, inside)
            case ast.Starred(value=part):
                self._value(part, Role.READ)
            case ast.IfExp(test=test, body=one, orelse=other):
                self._value(test, Role.UNKNOWN)
                self._value(one, role)
                self._value(other, role)
            case ast.BoolOp(values=parts):
                for part in parts:
                    self._value(part, role)
            case ast.BinOp(left=left, right=right):
                plain = self._is_plain(left) or self._is_plain(right)
                for part in (left, right):
                    self._value(part, Role.READ if plain else Role.UNKNOWN)
            case ast.Compare(left=left, comparators=others):
                for part in (left, *others):
                    self._value(part, Role.READ)
            case ast.UnaryOp(operand=part) | ast.FormattedValue(value=part):
                self._value(part, Role.READ)
            case ast.Attribute(value=part):
                self._value(part, role)
            case ast.Subscript(value=part, slice=key):
                self._value(part, role)
                self._value(key, Role.READ)
            case ast.Call(func=ast.Attribute()):
                self._call(node, Role.UNKNOWN)
            case ast.Call():
                self._call(
                    node, Role.READ if makes_new(node.func, self._knowledge) else Role.UNKNOWN
                )
            case _:
                for inner in children(node):
                    if isinstance(inner, ast.expr):
                        self._value(inner, Role.UNKNOWN)


def makes_new(func: ast.expr, knowledge: Knowledge) -> bool:
    """Whether it's a builtin whose result is new, or nothing that can be changed."""
    callee = knowledge.resolve(func)
    name = str(attribute(callee, "__name__", ""))
    known = name in _NEW or name in tables.FRESH_CALLS
    return known and getattr(builtins, name, None) is callee
