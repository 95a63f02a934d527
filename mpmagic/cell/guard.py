"""What commits and context managers do with exceptions.

A commit under ``try`` or ``with`` may be split off only if it can't raise there, since an
exception of it would change what follows.
"""

from __future__ import annotations

import ast
import collections
import types
from typing import Any, Final

from mpmagic.cell.functions import Summaries
from mpmagic.cell.knowledge import UNKNOWN, Knowledge

__all__ = ["hash_checked", "infallible", "may_suppress", "raises_past", "slot_keys"]

_SUPPRESSING: Final = ("suppress", "ignore", "raises", "exitstack")
_MAPPINGS: Final = (dict, collections.Counter, collections.defaultdict, collections.OrderedDict)
# Context managers that only close or release something: an exception passes through them, and
# whether there was one makes no difference that can be seen.
_CLOSING: Final = frozenset(
    {"open", "fdopen", "closing", "ZipFile", "TarFile", "BZ2File", "GzipFile", "LZMAFile",
     "scandir",
     "errstate", "catch_warnings", "File", "option_context", "printoptions", "localcontext"}
)  # fmt: skip


def may_suppress(context: ast.expr, knowledge: Knowledge, summaries: Summaries) -> bool:
    """Whether a context manager may swallow an exception of its block.

    Those that the notebook defines may; of libraries' only those whose name says so.
    """
    callee = context.func if isinstance(context, ast.Call) else context
    name = _last_name(callee).lower()
    if any(word in name for word in _SUPPRESSING):
        return True
    value = knowledge.resolve(callee)
    if isinstance(callee, ast.Name) and knowledge.is_hidden(callee.id):
        return callee.id in knowledge.definitions or callee.id in knowledge.classes
    return value is not UNKNOWN and _of_notebook(value, knowledge)


def _of_notebook(value: Any, knowledge: Knowledge) -> bool:
    if isinstance(value, types.FunctionType):
        inner = getattr(value, "__wrapped__", value)
        return getattr(inner, "__globals__", None) is knowledge.namespace
    kind = value if isinstance(value, type) else type(value)
    return kind.__module__ == "__main__"


def raises_past(context: ast.expr, knowledge: Knowledge) -> bool:
    """Whether it makes no difference to the context manager that its block raises."""
    callee = context.func if isinstance(context, ast.Call) else context
    value = knowledge.resolve(callee)
    if value is not UNKNOWN and _of_notebook(value, knowledge):
        return False
    return _last_name(callee) in _CLOSING


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def infallible(node: ast.stmt, knowledge: Knowledge) -> bool:
    """Whether a commit can't raise once its operands and the hashes of its keys are there."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute() as func, args=[_], keywords=[])):
            kind = knowledge.type_of(func.value)
            named = isinstance(func.value, ast.Name)
            return named and (kind, func.attr) in ((list, "append"), (set, "add"))
        case ast.Assign(targets=[ast.Name()]):
            return not _may_raise(node.value)
        case ast.Assign(targets=[ast.Subscript(value=ast.Name() as owner)]):
            return knowledge.type_of(owner) in _MAPPINGS
        case ast.AugAssign(target=ast.Name() as name, value=ast.Constant(value=int() | float())):
            kind = knowledge.type_of(ast.Name(id=name.id, ctx=ast.Load()))
            return kind in (int, float) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult)
        case ast.AugAssign(
            target=ast.Subscript(value=ast.Name() as owner), value=ast.Constant(value=int())
        ):
            return knowledge.type_of(owner) is collections.Counter
        case ast.Continue() | ast.Break() | ast.Pass():
            return True
        case _:
            return False


def _may_raise(node: ast.expr) -> bool:
    return not isinstance(node, ast.Name | ast.Constant | ast.List | ast.Tuple)


def hash_checked(node: ast.stmt, knowledge: Knowledge) -> list[ast.expr]:
    """Keys whose hash the worker has to try, so that the commit can't raise for it."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add"), args=[key])):
            return [key]
        case ast.Assign(targets=[ast.Subscript(slice=key)]):
            return [key]
        case ast.AugAssign(target=ast.Subscript(slice=key)):
            return [key]
        case _:
            return []


def slot_keys(node: ast.stmt) -> list[ast.expr]:
    """Expressions of a commit under which something is looked up or kept, by their value."""
    found: list[ast.expr] = []
    for inner in ast.walk(node):
        match inner:
            case ast.Subscript(slice=key):
                found.append(key)
            case ast.Call(func=ast.Attribute(attr="add" | "setdefault" | "get"), args=[key, *_]):
                found.append(key)
            case _:
                pass
    return found
