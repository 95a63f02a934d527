"""Comprehensions and generator expressions as loops.

``[f(x) for x in xs if x]`` is the loop ``for x in xs: if x: collect(f(x))``; what collects is the
kernel's half, see `collected`.
"""

from __future__ import annotations

import ast
import builtins
import collections
from collections.abc import Callable, Iterator
from typing import Any, Final

from mpmagic.cell.syntax import children, walk
from mpmagic.cell.tables import qualified_name

__all__ = ["Comprehension", "as_loop", "ending_early", "exhausts", "outermost"]

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

# Builtins that exhaust a generator before they return, each with the positions that they take.
_EXHAUSTING: Final = frozenset(
    {"sum", "list", "tuple", "set", "frozenset", "dict", "sorted", "min", "max", "Counter", "deque"}
)
# The same of libraries, by qualified name; each takes it as its first argument.
_EXHAUSTING_FUNCTIONS: Final = frozenset(
    {"math.fsum", "math.prod", "statistics.mean", "statistics.fmean", "statistics.median",
     "statistics.stdev", "statistics.pstdev", "statistics.variance", "statistics.mode",
     "pandas.concat", "pandas.DataFrame", "pandas.core.reshape.concat.concat",
     "pandas.core.frame.DataFrame"}
)  # fmt: skip
_ENDING_EARLY: Final = frozenset({"any", "all", "next"})
_EXHAUSTING_METHODS: Final = frozenset(
    {"join", "extend", "update", "fromkeys", "extendleft", "writelines"}
)


def outermost(
    node: ast.AST, *, ahead: bool, shadowed: set[str], resolve: Callable[[ast.expr], Any]
) -> Iterator[Comprehension]:
    """The comprehensions in an expression that may be split: the outermost ones.

    Parameters
    ----------
    node
        An expression of a statement.
    ahead
        Whether elements may be computed that the serial cell would not have asked for.
    shadowed
        Names of builtins that the notebook has given another meaning.
    resolve
        Gives what a dotted name stands for.
    """
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
        yield node
        return
    if isinstance(node, ast.Lambda | ast.GeneratorExp):
        return
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.GeneratorExp):
        if _exhausts(node, shadowed, ahead=ahead) or _is_exhausting(resolve(node.func)):
            yield node.args[0]
    for child in children(node):
        yield from outermost(child, ahead=ahead, shadowed=shadowed, resolve=resolve)


def exhausts(node: ast.Call, resolve: Callable[[ast.expr], Any]) -> bool:
    """Whether a call takes, before it returns, all that a generator gives as its first argument.

    `resolve` is as of `outermost`.
    """
    if isinstance(node.func, ast.Name):
        name, callee = node.func.id, resolve(node.func)
        known = getattr(builtins, name, getattr(collections, name, None))
        return _exhausts(node, {name} if callee is not known else set(), ahead=False)
    return _exhausts(node, set(), ahead=False) or _is_exhausting(resolve(node.func))


def ending_early(node: ast.AST, shadowed: set[str]) -> Iterator[tuple[ast.Call, str]]:
    """Calls of builtins that may stop before the end of the generator that they are handed."""
    for call in walk(node):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        if isinstance(call.args[0], ast.GeneratorExp) and isinstance(call.func, ast.Name):
            if call.func.id in _ENDING_EARLY - shadowed:
                yield call, call.func.id


def _exhausts(node: ast.Call, shadowed: set[str], *, ahead: bool) -> bool:
    match node.func:
        case ast.Name(id=name):
            known = name in _EXHAUSTING or (ahead and name in _ENDING_EARLY)
            return known and name not in shadowed
        case ast.Attribute(attr="join", value=ast.Constant(value=str() | bytes())):
            return True
        case ast.Attribute(attr=name):
            return name in _EXHAUSTING_METHODS and name != "join"
        case _:
            return False


def _is_exhausting(function: Any) -> bool:
    return qualified_name(function) in _EXHAUSTING_FUNCTIONS


def as_loop(node: Comprehension) -> tuple[ast.For, ast.stmt]:
    """The comprehension as a loop, and in it the statement that stands for its element."""
    if isinstance(node, ast.DictComp):
        value: ast.expr = ast.Tuple(elts=[node.key, node.value], ctx=ast.Load())
    else:
        # In a display, so that what the kernel has already is not sent.
        value = ast.Tuple(elts=[node.elt], ctx=ast.Load())
    element: ast.stmt = ast.Expr(value=value)
    ast.copy_location(element, node.key if isinstance(node, ast.DictComp) else node.elt)
    ast.copy_location(element.value, element)  # type: ignore[attr-defined]
    body = element
    first, *rest = node.generators
    for generator in reversed(rest):
        body = _nested(generator, body)
    for test in reversed(first.ifs):
        body = ast.copy_location(ast.If(test=test, body=[body], orelse=[]), test)
    loop = ast.For(target=first.target, iter=first.iter, body=[body], orelse=[])
    return ast.copy_location(loop, node), element


def _nested(generator: ast.comprehension, body: ast.stmt) -> ast.stmt:
    for test in reversed(generator.ifs):
        body = ast.copy_location(ast.If(test=test, body=[body], orelse=[]), test)
    loop = ast.For(
        target=generator.target,
        iter=generator.iter,
        body=[body],
        orelse=[],
    )
    return ast.copy_location(loop, generator.target)
