"""What context managers do with an exception of their block.

One that may swallow it has its block end early, with fewer names bound than the source shows. What
the manager is counts, not how it is spelt: its ``__exit__``, or the generator that it was made of,
is read wherever there is source for it. Names of libraries' managers decide where there is none.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.attribute import attribute, function_behind
from mpmagic.cell.functions import source_of, unwrapped
from mpmagic.cell.knowledge import UNKNOWN, Knowledge, bound_names
from mpmagic.cell.paths import root_of
from mpmagic.cell.syntax import children, walk

__all__ = ["Managers"]

_SUPPRESSING: Final = ("suppress", "ignore", "raises", "exitstack")
# Context managers that only close or release something: an exception passes through them, and
# whether there was one makes no difference that can be seen.
_CLOSING: Final = frozenset(
    {"open", "fdopen", "closing", "ZipFile", "TarFile", "BZ2File", "GzipFile", "LZMAFile",
     "scandir", "load", "TemporaryDirectory", "NamedTemporaryFile", "TemporaryFile", "Session",
     "ExcelFile", "ThreadPoolExecutor", "ProcessPoolExecutor", "Pool",
     "errstate", "catch_warnings", "File", "option_context", "printoptions", "localcontext"}
)  # fmt: skip
# Methods of objects that the source doesn't show, which give managers that let exceptions pass.
_PASSING: Final = _CLOSING | {"connect", "cursor", "begin", "transaction", "session", "context"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Managers:
    """The context managers of a loop's body.

    Parameters
    ----------
    knowledge
        What names stand for when the loop is reached.
    body
        The loop's statements.
    targets
        Names of its target.
    """

    def __init__(self, knowledge: Knowledge, body: list[ast.stmt], targets: set[str]) -> None:
        self._knowledge = knowledge
        self._body = body
        self._targets = targets
        self._under_way: set[str] = set()

    @functools.cached_property
    def _bound(self) -> set[str]:
        return {name for s in self._body for name in bound_names(s)} | self._targets

    @functools.cached_property
    def _values(self) -> dict[str, list[ast.expr]]:
        return _assigned(self._body)

    def may_suppress(self, context: ast.expr) -> bool:
        """Whether the manager may swallow an exception of its block."""
        match context:
            case ast.Call():
                return self._makes_one(context.func)
            case ast.IfExp():
                return self.may_suppress(context.body) or self.may_suppress(context.orelse)
            case ast.Name(id=name) if name in self._bound:
                return self._any_of(name, self.may_suppress)
            case ast.Name(id=name) if self._knowledge.is_hidden(name):
                return _says_so(name)  # looked at again when the loop is reached
            case _:
                value = self._look_up(context)
                return value is UNKNOWN or self._class_suppresses(type(value))

    def raises_past(self, context: ast.expr) -> bool:
        """Whether it makes no difference to the manager that its block raises."""
        callee = context.func if isinstance(context, ast.Call) else context
        value = self._look_up(callee)
        if value is UNKNOWN:
            knowledge = self._knowledge
            own = isinstance(callee, ast.Name) and (
                callee.id in knowledge.definitions or callee.id in knowledge.classes
            )
            return not own and _last_name(callee) in _CLOSING
        if self._of_notebook(value):
            return False
        return attribute(value, "__name__", _last_name(callee)) in _CLOSING

    # -- what makes a manager ------------------------------------------------------------------

    def _makes_one(self, callee: ast.expr) -> bool:
        """Whether calling `callee` may give a manager that swallows exceptions."""
        if isinstance(callee, ast.IfExp):
            return self._makes_one(callee.body) or self._makes_one(callee.orelse)
        if _says_so(_last_name(callee)):
            return True
        if isinstance(callee, ast.Name):
            if callee.id in self._bound:
                return self._any_of(callee.id, self._makes_one)
            if self._knowledge.is_hidden(callee.id):
                return self._defined_suppresses(callee.id)
        value = self._look_up(callee)
        if value is UNKNOWN:
            return not self._is_of_module(callee) and _last_name(callee) not in _PASSING
        return self._callable_suppresses(value)

    def _any_of(self, name: str, suppresses: Any) -> bool:
        """Whether one of the values does that the body assigns to `name`."""
        values = self._values.get(name)
        if values is None or name in self._under_way:
            return True
        self._under_way.add(name)
        found = any(suppresses(value) for value in values)
        self._under_way.remove(name)
        return found

    def _defined_suppresses(self, name: str) -> bool:
        """The same of what the cell defines before the loop."""
        knowledge = self._knowledge
        if name in knowledge.definitions:
            return self._function_suppresses(knowledge.definitions[name], own=True)
        if name in knowledge.classes:
            node = knowledge.classes[name]
            methods = [s for s in node.body if isinstance(s, ast.FunctionDef)]
            leaving = [m for m in methods if m.name == "__exit__"]
            return not leaving or _returns_something(leaving[-1])
        return False  # looked at again when the loop is reached

    def _callable_suppresses(self, value: Any) -> bool:
        if isinstance(value, functools.partial):
            return self._callable_suppresses(value.func)
        if isinstance(value, type):
            return self._class_suppresses(value)
        function = unwrapped(function_behind(value))
        if isinstance(function, types.FunctionType):
            own = self._of_notebook(function)
            node = source_of(function.__code__)
            if node is not None and (own or _is_generator(node)):
                return self._function_suppresses(node, own=own)
            return own or _says_so(function.__name__)
        if isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType):
            return _says_so(value.__name__)
        return True

    def _class_suppresses(self, kind: type) -> bool:
        if issubclass(kind, contextlib._GeneratorContextManager) or _says_so(kind.__name__):
            return True
        for base in kind.__mro__:
            if "__exit__" in vars(base):
                leaving = vars(base)["__exit__"]
                node = source_of(leaving.__code__) if hasattr(leaving, "__code__") else None
                if node is not None:
                    return _says_so(base.__name__) or _returns_something(node)
                return _says_so(base.__name__) or base.__module__ == "__main__"
        return False

    def _function_suppresses(self, node: _Function, *, own: bool) -> bool:
        """Whether a generator function that makes managers goes on after an exception."""
        if isinstance(node, ast.Lambda) or not _is_generator(node):
            return True  # it hands on another's
        return any(self._yields_caught(statement, own=own) for statement in node.body)

    def _yields_caught(self, node: ast.AST, *, own: bool) -> bool:
        """Whether an exception at a ``yield`` inside `node` may end there."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            return False
        if isinstance(node, ast.Try | ast.TryStar) and any(map(_yields, node.body)):
            if not all(_raises_again(h) for h in node.handlers) or _leaves(node.finalbody):
                return True
        if isinstance(node, ast.With) and any(map(_yields, node.body)):
            for item in node.items:
                if own and self.may_suppress(item.context_expr):
                    return True
                if any(_says_so(name) for name in _names_in(item.context_expr)):
                    return True
        return any(self._yields_caught(child, own=own) for child in children(node))

    # -- values --------------------------------------------------------------------------------

    def _look_up(self, node: ast.expr) -> Any:
        """The value of a path, looking into objects without running anything of theirs."""
        if root_of(node) in self._bound:
            return UNKNOWN
        value = self._knowledge.resolve(node)
        if value is UNKNOWN and isinstance(node, ast.Attribute):
            owner = self._look_up(node.value)
            if owner is not UNKNOWN and not isinstance(owner, types.ModuleType):
                found = inspect.getattr_static(owner, node.attr, UNKNOWN)
                return UNKNOWN if isinstance(found, property) else found
        return value

    def _is_of_module(self, node: ast.expr) -> bool:
        root = ast.Name(id=root_of(node) or "", ctx=ast.Load())
        if not isinstance(node, ast.Attribute) or root.id in self._bound:
            return False
        return self._knowledge.type_of(root) is types.ModuleType

    def _of_notebook(self, value: Any) -> bool:
        if isinstance(value, types.FunctionType):
            inner = attribute(value, "__wrapped__", value)
            return getattr(inner, "__globals__", None) is self._knowledge.namespace
        kind = value if isinstance(value, type) else type(value)
        return kind.__module__ == "__main__"


def _assigned(body: Iterable[ast.stmt]) -> dict[str, list[ast.expr]]:
    """By name the values that the body assigns to it, of names that it binds in no other way."""
    values: dict[str, list[ast.expr]] = {}
    otherwise: set[str] = set()
    for node in (n for statement in body for n in walk(statement)):
        if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) for t in node.targets):
            for target in node.targets:
                assert isinstance(target, ast.Name)
                values.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.NamedExpr | ast.pattern):
            otherwise |= _bound_by_itself(node)
    return {name: found for name, found in values.items() if name not in otherwise}


def _bound_by_itself(node: ast.AST) -> set[str]:
    """Names that a statement binds other than in the statements inside it."""
    inside = [c for c in children(node) if isinstance(c, ast.stmt | ast.excepthandler)]
    inner = {name for child in inside for name in bound_names(child)}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return {node.name}
    if isinstance(node, ast.stmt) and inside:
        own = [c for c in children(node) if c not in inside]
        return {name for child in own for name in bound_names(child)}
    return bound_names(node) - inner


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _names_in(node: ast.AST) -> Iterator[str]:
    return (_last_name(n) for n in walk(node) if isinstance(n, ast.Name | ast.Attribute))


def _says_so(name: str) -> bool:
    return any(word in name.lower() for word in _SUPPRESSING)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes inside `node`, those of functions and classes in it left out."""
    yield node
    for child in children(node):
        if not isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        ):
            yield from _own_nodes(child)


def _yields(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for n in _own_nodes(node))


def _is_generator(node: _Function) -> bool:
    return not isinstance(node, ast.Lambda) and any(map(_yields, node.body))


def _raises_again(handler: ast.ExceptHandler) -> bool:
    jumps = any(isinstance(n, ast.Return | ast.Break | ast.Continue) for n in _own_nodes(handler))
    return isinstance(handler.body[-1], ast.Raise) and not jumps


def _leaves(block: list[ast.stmt]) -> bool:
    """Whether a ``finally`` may drop the exception."""
    jumps = (ast.Return, ast.Break, ast.Continue)
    return any(isinstance(n, jumps) for statement in block for n in _own_nodes(statement))


def _returns_something(node: _Function) -> bool:
    """Whether an ``__exit__`` may give a true value, which swallows the exception."""
    if isinstance(node, ast.Lambda):
        return not (isinstance(node.body, ast.Constant) and not node.body.value)
    given = [n.value for n in _own_nodes(node) if isinstance(n, ast.Return) and n.value is not None]
    return any(not isinstance(value, ast.Constant) or bool(value.value) for value in given)
