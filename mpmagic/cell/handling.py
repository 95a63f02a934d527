"""What a function of the notebook does with an argument, as far as its source shows it.

One that only looks at it, or keeps a reference, may be called by a commit before the work goes on
with the same object. Every use of the parameter must be one of those that are listed here; of
any other use nothing is known.
"""

from __future__ import annotations

import ast
import enum
import types
from typing import Any, Final

from mpmagic.cell import tables
from mpmagic.cell.attribute import attribute
from mpmagic.cell.functions import source_of
from mpmagic.cell.knowledge import UNKNOWN, Knowledge, bound_names
from mpmagic.cell.syntax import INTERPOLATIONS, TEMPLATES, children, walk

__all__ = ["Handling", "handling"]

_SCOPES: Final = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_HOLDING: Final = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Starred, ast.BinOp, ast.BoolOp,
                   ast.keyword, *TEMPLATES, *INTERPOLATIONS)  # fmt: skip
_LOOKING: Final = (ast.FormattedValue, ast.Compare, ast.UnaryOp, ast.If, ast.While, ast.Assert,
                   ast.Expr, ast.For, ast.comprehension)  # fmt: skip
_PASSING: Final = frozenset(
    {"dict", "enumerate", "frozenset", "list", "max", "min", "reversed", "set", "sorted", "sum",
     "tuple", "zip"}
)  # fmt: skip
_KEEPING: Final = frozenset(
    {"add", "append", "critical", "debug", "error", "info", "warning", "write", "writerow"}
)
_PURE_MODULES: Final = frozenset({"math", "statistics", "posixpath", "ntpath"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Handling(enum.IntEnum):
    """What becomes of an argument, the worst of all uses."""

    LOOKED_AT = 0
    KEY = 1
    KEPT = 2
    UNKNOWN = 3
    CHANGED = 4


def handling(
    call: ast.Call, name: str, knowledge: Knowledge, under_way: frozenset[int] = frozenset()
) -> Handling:
    """What a call does with the object of one of its arguments.

    Parameters
    ----------
    call
        The call.
    name
        The name that stands for the object; it may be several of the arguments.
    knowledge
        What names stand for.
    under_way
        Functions that are being looked at.
    """
    function = _defined(call.func, knowledge)
    if function is None or id(function) in under_way or any(_is_spread(a) for a in call.args):
        return Handling.UNKNOWN
    parameters = [_parameter(function, call, value) for value in _values(call) if _is(value, name)]
    plain = [n for n in walk(*_values(call)) if isinstance(n, ast.Name) and n.id == name]
    if not parameters or None in parameters or len(plain) > len(parameters):
        return Handling.UNKNOWN
    found = (_Uses(function, p, knowledge, under_way | {id(function)}) for p in parameters if p)
    return max(uses.worst() for uses in found)


def _defined(func: ast.expr, knowledge: Knowledge) -> _Function | None:
    """The source of a plain function of the notebook."""
    if not isinstance(func, ast.Name):
        return None
    node = knowledge.definitions.get(func.id)
    if node is not None:
        return None if node.decorator_list else node
    value = knowledge.value(func.id)
    if not isinstance(value, types.FunctionType) or value.__globals__ is not knowledge.namespace:
        return None
    return source_of(value.__code__)


def _values(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_spread(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred)


def _parameter(function: _Function, call: ast.Call, value: ast.expr) -> str | None:
    """The name under which the function gets an argument."""
    positional = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    for position, argument in enumerate(call.args):
        if argument is value:
            return positional[position] if position < len(positional) else None
    named = next((k.arg for k in call.keywords if k.value is value), None)
    known = [*positional, *(a.arg for a in function.args.kwonlyargs)]
    return named if named in known else None


class _Uses:
    """The uses of one parameter in a function's body."""

    def __init__(
        self, function: _Function, parameter: str, knowledge: Knowledge, under_way: frozenset[int]
    ) -> None:
        body = [function.body] if isinstance(function, ast.Lambda) else function.body
        self._nodes = walk(*body)
        self._parents = {id(c): node for node in self._nodes for c in children(node)}
        self._knowledge = knowledge
        self._under_way = under_way
        self._names = {parameter}
        self._follow()

    def _follow(self) -> None:
        """Take in the names that get the argument, or a part of it."""
        before = 0
        while before != len(self._names):
            before = len(self._names)
            for node in self._nodes:
                match node:
                    case ast.Assign(targets=targets, value=value):
                        given = targets
                    case ast.For(target=target, iter=value):
                        given = [target]
                    case ast.comprehension(target=target, iter=value):
                        given = [target]
                    case ast.AugAssign(target=ast.Name() as target, value=value):
                        given = [target]
                    case _:
                        continue
                if any(isinstance(n, ast.Name) and n.id in self._names for n in walk(value)):
                    self._names |= {name for target in given for name in bound_names(target)}

    def worst(self) -> Handling:
        """What becomes of the argument."""
        declared = [n for n in self._nodes if isinstance(n, ast.Global | ast.Nonlocal)]
        if any(not self._names.isdisjoint(node.names) for node in declared):
            return Handling.UNKNOWN
        uses = [n for n in self._nodes if isinstance(n, ast.Name) and n.id in self._names]
        found = [self._use(n) for n in uses if isinstance(n.ctx, ast.Load)]
        worst = max(found, default=Handling.LOOKED_AT)
        return Handling.CHANGED if worst is Handling.KEPT and self._goes_deep() else worst

    def _goes_deep(self) -> bool:
        """Whether the function changes more than the very objects that its names are bound to."""
        for node in self._nodes:
            match node:
                case ast.AugAssign(target=ast.Attribute() | ast.Subscript()):
                    return True
                case ast.Attribute(ctx=ast.Load(), value=ast.Name()):
                    continue
                case ast.Attribute() | ast.Subscript() if not isinstance(node.ctx, ast.Load):
                    if not isinstance(node.value, ast.Name):
                        return True
                case ast.Call(func=ast.Name() as func) if _defined(func, self._knowledge):
                    return True
                case ast.Call(func=ast.Attribute(value=owner, attr=attr)):
                    if not isinstance(owner, ast.Name) and attr not in tables.READING_METHODS:
                        return True
                case _:
                    continue
        return False

    def _use(self, node: ast.AST) -> Handling:
        """What the nodes around a use do with it."""
        if any(isinstance(outer, _SCOPES) for outer in self._around(node)):
            return Handling.UNKNOWN
        while (parent := self._parents.get(id(node))) is not None:
            verdict = self._step(node, parent)
            if verdict is not None:
                return verdict
            node = parent
        return Handling.UNKNOWN  # a lambda gives it back

    def _around(self, node: ast.AST) -> list[ast.AST]:
        found = []
        while (parent := self._parents.get(id(node))) is not None:
            found.append(parent)
            node = parent
        return found

    def _step(self, node: ast.AST, parent: ast.AST) -> Handling | None:
        """What `parent` does with it; None if it hands it on."""
        match parent:
            case ast.Call():
                return self._called(node, parent)
            case ast.Subscript(slice=key) if key is node:
                return Handling.KEY
            case ast.Attribute(ctx=ast.Load()) | ast.Subscript(ctx=ast.Load()):
                return None
            case ast.IfExp(test=test):
                return Handling.LOOKED_AT if test is node else None
            case ast.AugAssign(value=value) if value is node:
                return Handling.KEPT
            case ast.Assign(targets=targets):
                names = (isinstance(t, ast.Name | ast.Tuple | ast.List) for t in targets)
                return Handling.LOOKED_AT if all(names) else Handling.KEPT
            case _ if isinstance(parent, _HOLDING):
                return None
            case _:
                return Handling.LOOKED_AT if isinstance(parent, _LOOKING) else Handling.UNKNOWN

    def _called(self, node: ast.AST, call: ast.Call) -> Handling | None:
        func = call.func
        if func is node:  # a method of its own
            reads = isinstance(func, ast.Attribute) and func.attr in tables.READING_METHODS
            return None if reads else Handling.UNKNOWN
        if isinstance(func, ast.Attribute) and self._knowledge.resolve(func) is UNKNOWN:
            if func.attr in _KEEPING:
                return Handling.KEPT
            first = bool(call.args) and call.args[0] is node
            return Handling.KEY if func.attr == "get" and first else Handling.UNKNOWN
        return self._called_by_name(node, call)

    def _called_by_name(self, node: ast.AST, call: ast.Call) -> Handling | None:
        func, callee = call.func, self._knowledge.resolve(call.func)
        if isinstance(func, ast.Name) and isinstance(node, ast.Name):
            if _defined(func, self._knowledge) is not None:
                return handling(call, node.id, self._knowledge, self._under_way)
        if _is_builtin(callee, tables.FRESH_CALLS) or _is_pure(callee):
            return Handling.LOOKED_AT
        return None if _is_builtin(callee, _PASSING) else Handling.UNKNOWN


def _is_builtin(callee: Any, names: frozenset[str]) -> bool:
    return (
        attribute(callee, "__module__", "") == "builtins"
        and attribute(callee, "__name__", "") in names
    )


def _is_pure(callee: Any) -> bool:
    return attribute(callee, "__module__", "") in _PURE_MODULES
