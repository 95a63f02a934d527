"""Copies that are shuffled as soon as they are made: a draw whose value is the shuffled copy.

``p = labels.copy()`` and ``rng.shuffle(p)`` become ``p = (lambda p: (rng.shuffle(p), p)[1])(
labels.copy())``, which the kernel can evaluate ahead like any draw.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable
from typing import Any

from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.purity import Purity
from mpmagic.cell.syntax import locate_new

__all__ = ["copied_from", "shuffled", "shuffled_copy"]

_Source = Callable[[ast.Name], str]


def shuffled_copy(statements: list[ast.stmt]) -> tuple[str, ast.Assign, ast.Call] | None:
    """The name that the first of two statements binds and the second hands to a call; and both."""
    match statements:
        case [
            ast.Assign(targets=[ast.Name(id=name)]) as made,
            ast.Expr(value=ast.Call(args=[ast.Name(id=given)], keywords=[]) as call),
        ] if name == given:
            return name, made, call
        case _:
            return None


def shuffled(name: str, made: ast.expr, call: ast.Call) -> ast.expr:
    """What gives the copy after it has been shuffled.

    Parameters
    ----------
    name
        Its name.
    made
        What makes it.
    call
        What shuffles it.
    """
    argument = ast.copy_location(ast.arg(arg=name), call)
    given = ast.arguments(
        posonlyargs=[], args=[argument], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    both = ast.Tuple(elts=[call, ast.Name(id=name, ctx=ast.Load())], ctx=ast.Load())
    last = ast.Subscript(value=both, slice=ast.Constant(1), ctx=ast.Load())
    function = ast.Lambda(args=given, body=last)
    whole = ast.copy_location(ast.Call(func=function, args=[made], keywords=[]), call)
    locate_new(whole, call.lineno)
    return whole


def copied_from(
    node: ast.expr, knowledge: Knowledge, purity: Purity, source: _Source
) -> set[str] | None:
    """The names of the plain values that a copy is made of; None if that may be anything.

    Parameters
    ----------
    node
        What makes it.
    knowledge, purity
        What names stand for, and what expressions are made of.
    source
        The name of what is copied; empty if that may be anything.
    """
    lists, arrays = (list,), (list, _numpys("ndarray"))
    match node:
        case ast.Subscript(value=ast.Name() as name, slice=ast.Slice(None, None, None)):
            return set() if _is_one_of(lists, name, knowledge) and source(name) else None
        case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="copy"), args=[]):
            copied = not node.keywords and _is_one_of(arrays, name, knowledge)
            return set() if copied and source(name) else None
        case ast.Call(func=func, args=[given], keywords=[]) if purity.notes(func):
            callee = knowledge.resolve(func)
        case _:
            return None
    if callee is _numpys("arange"):
        return purity.reads(given)
    if callee is list and isinstance(given, ast.Call):
        return purity.counts(given)
    if not isinstance(given, ast.Name):
        return None
    copied = callee is copy.copy and _is_one_of(arrays, given, knowledge)
    if any(callee is f for f in (_numpys("copy"), _numpys("array")) if f is not None):
        copied = _is_one_of((*arrays, tuple, range), given, knowledge)
    return set() if (copied or callee is list) and source(given) else None


def _is_one_of(kinds: tuple[Any, ...], name: ast.Name, knowledge: Knowledge) -> bool:
    """Whether its type is one that is copied so, and of which a copy can be shuffled.

    Otherwise the name would be bound when that raises, or what it stands for be shuffled itself.
    """
    kind = knowledge.type_of(name)
    # Of what the cell makes the type is looked at when the loop is reached.
    hidden = kind is None and knowledge.is_hidden(name.id)
    return hidden or (kind is not None and kind in kinds)


def _numpys(name: str) -> Any:
    """A function of numpy's, if it is loaded."""
    return getattr(sys.modules.get("numpy"), name, None)
