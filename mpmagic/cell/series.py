"""Comprehensions that draw: a series of draws, taken ahead of the work like one.

``[rng.normal() for _ in range(n)]`` is one if nothing else is done in it than to compute with plain
values, so that the kernel can make it ahead on the shadow of the generator, and again on the
generator itself.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Final

from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.purity import Purity
from mpmagic.cell.syntax import walk

__all__ = ["calls_in", "exhausted_by", "made_of", "own_names"]

_EXHAUSTING: Final = {"sum": sum, "list": list, "tuple": tuple}
"""Builtins that take all elements of a generator, whatever these are; `sum` if they are numbers."""


def exhausted_by(call: ast.Call, knowledge: Knowledge) -> ast.GeneratorExp | None:
    """The generator expression of which a call takes all elements at once, if it does."""
    match call:
        case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() as given], keywords=[]):
            known = name in _EXHAUSTING and knowledge.value(name) is _EXHAUSTING[name]
            return given if known else None
        case _:
            return None


def calls_in(
    node: ast.expr, is_draw: Callable[[ast.AST], bool], is_plain: Callable[[ast.Call], bool]
) -> tuple[ast.Call, ...]:
    """The draws in a comprehension, if all are by one function from one generator.

    Parameters
    ----------
    node
        The comprehension.
    is_draw
        Whether a node draws, or steps.
    is_plain
        Whether a call draws and does nothing else.
    """
    calls = tuple(n for n in walk(node) if isinstance(n, ast.Call) and is_draw(n))
    if len({ast.dump(call.func) for call in calls}) != 1 or not all(map(is_plain, calls)):
        return ()
    if isinstance(calls[0].func, ast.Name) and calls[0].func.id == "next":
        return ()
    return () if own_names(node) & _spelt([calls[0].func]) else calls


def made_of(node: ast.expr, purity: Purity, source: Callable[[ast.Name], str]) -> set[str] | None:
    """The names of the plain values that a series is made of; None if it does anything else.

    Parameters
    ----------
    node
        The comprehension, with constants in the place of its draws.
    purity
        Tells what else expressions are made of.
    source
        The name of what items are taken from; empty if that may be anything.
    """
    if not isinstance(node, ast.ListComp | ast.GeneratorExp):
        return purity.reads(node)
    own, iterables = own_names(node), [loop.iter for loop in node.generators]
    elsewhere = [*iterables, *(n.func for n in walk(node) if isinstance(n, ast.Call))]
    if not all(map(_is_plain, node.generators)) or own & _spelt(elsewhere):
        return None
    parts = [node.elt, *(test for loop in node.generators for test in loop.ifs)]
    read = [made_of(part, purity, source) for part in parts]
    for iterable in iterables:
        named = isinstance(iterable, ast.Name) and source(iterable)
        read.append(set() if named else purity.counts(iterable))
    found = [names for names in read if names is not None]
    return set().union(*found) - own if len(found) == len(read) else None


def own_names(node: ast.expr) -> set[str]:
    """The names that a comprehension, and those inside it, bind for themselves."""
    loops = [part for part in walk(node) if isinstance(part, ast.comprehension)]
    return set().union(*(bound_names(loop.target) for loop in loops))


def _is_plain(loop: ast.comprehension) -> bool:
    targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    return not loop.is_async and all(isinstance(target, ast.Name) for target in targets)


def _spelt(nodes: Iterable[ast.expr]) -> set[str]:
    return {node.id for node in walk(*nodes) if isinstance(node, ast.Name)}
