"""Whether a statement may look at the exception that is being handled, without having its name.

``log.exception("bad item")`` writes its traceback, and any function may ask `sys.exception`.
"""

from __future__ import annotations

import ast
from typing import Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.syntax import walk

__all__ = ["may_look_at_exception"]

_METHODS: Final = frozenset(
    {"append", "appendleft", "extend", "insert", "add", "update", "discard", "remove", "pop",
     "clear", "setdefault", "get", "write", "writelines", "format", "join", "strip", "items",
     "keys", "values", "debug", "info", "warning", "warn", "error", "critical", "log", "put"}
)  # fmt: skip
"""Methods of containers, streams and loggers that don't; a logger's do if they are told to."""

_FUNCTIONS: Final = frozenset(
    {"print", "str", "repr", "len", "int", "float", "bool", "type", "min", "max", "sum", "abs",
     "list", "dict", "set", "tuple", "frozenset", "sorted", "round", "range", "isinstance"}
)  # fmt: skip


def may_look_at_exception(node: ast.AST, dependence: Dependence) -> bool:
    """Whether something that a commit calls in the kernel may."""
    calls = [call for call in walk(node) if isinstance(call, ast.Call) and _may_look(call)]
    return any(dependence.touches_kernel(dependence.scanner.scan([call])) for call in calls)


def _may_look(call: ast.Call) -> bool:
    told = [k.value for k in call.keywords if k.arg in (None, "exc_info")]
    if any(not (isinstance(value, ast.Constant) and not value.value) for value in told):
        return True
    match call.func:
        case ast.Name(id=name):
            return name not in _FUNCTIONS
        case ast.Attribute(attr=name):
            return name not in _METHODS
        case _:
            return True
