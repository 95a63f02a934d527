"""The kernel's half of a split loop: it replays the log.

For each event the commit of its site runs, with the operands that the worker computed. A commit
that ends its iteration, or the loop, tells the replay.
"""

from __future__ import annotations

import ast
from typing import Final

from mpmagic.cell.draw import Draw
from mpmagic.cell.syntax import copied, loaded, set_blocks
from mpmagic.cell.unit import blocks_of
from mpmagic.cell.vocabulary import EVENT, EVENTS, FAILURE, REPLAY, START

__all__ = ["COMMIT", "drawn_again", "given", "is_given", "operand", "replay"]

_SITE: Final = ".site"
_GIVE: Final = "give"

COMMIT: Final = (EVENTS, REPLAY, FAILURE)
"""The parameters of the kernel's function."""


def replay(loop: ast.For, sites: list[ast.stmt]) -> ast.stmt:
    """The loop over the log: for each event the commit of its site."""
    start = ast.Assign(targets=[loop.target], value=operand(0))
    chain: list[ast.stmt] = [ast.copy_location(start, loop.target)]
    cases = [(START, chain)]
    for number, site in enumerate(sites):
        cases.append((number, _with_exits([site])))
    orelse: list[ast.stmt] = []
    for number, body in reversed(cases):
        test = ast.Compare(
            left=ast.Name(id=_SITE, ctx=ast.Load()),
            ops=[ast.Eq()],
            comparators=[ast.Constant(number)],
        )
        orelse = [ast.If(test=test, body=body, orelse=orelse)]
    read = ast.Subscript(
        value=ast.Name(id=EVENT, ctx=ast.Load()), slice=ast.Constant(0), ctx=ast.Load()
    )
    dispatch = ast.Assign(targets=[ast.Name(id=_SITE, ctx=ast.Store())], value=read)
    return ast.For(
        target=ast.Name(id=EVENT, ctx=ast.Store()),
        iter=loaded(EVENTS, loop),
        body=[dispatch, *orelse],
        orelse=[],
    )


def operand(index: int) -> ast.expr:
    """In the kernel: an operand of the event."""
    return ast.Subscript(
        value=ast.Name(id=EVENT, ctx=ast.Load()), slice=ast.Constant(index + 1), ctx=ast.Load()
    )


def given(index: int) -> ast.expr:
    """In the kernel: takes the outcome that is an operand of the event."""
    return _asked(_GIVE, ast.Constant(index))


def is_given(node: ast.AST) -> bool:
    """Whether a node asks for such an outcome."""
    if not isinstance(node, ast.Attribute) or node.attr != _GIVE:
        return False
    return isinstance(node.value, ast.Name) and node.value.id == EVENTS


def drawn_again(number: int, draw: Draw, at: ast.stmt) -> ast.stmt:
    """In the kernel: makes a draw from the generator itself, the same as was made ahead.

    Where that would take long, the generator is moved on instead: ``.events.leapt(0) if
    .events.leaps(0) else .events.drew(0, rng.normal(size=n))``.
    """
    value = ast.IfExp(
        test=_asked("leaps", ast.Constant(number)),
        body=_asked("leapt", ast.Constant(number)),
        orelse=_asked("drew", ast.Constant(number), copied(draw.value)),
    )
    target = ast.Name(id=draw.name, ctx=ast.Store())
    return ast.copy_location(ast.Assign(targets=[target], value=value), at)


def _asked(method: str, *arguments: ast.expr) -> ast.expr:
    events = ast.Name(id=EVENTS, ctx=ast.Load())
    asked = ast.Attribute(value=events, attr=method, ctx=ast.Load())
    return ast.Call(func=asked, args=list(arguments), keywords=[])


def _with_exits(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Statements whose ``continue`` and ``break`` are told to the replay."""
    changed: list[ast.stmt] = []
    for node in statements:
        if isinstance(node, ast.Continue | ast.Break):
            method = "skip" if isinstance(node, ast.Continue) else "stop"
            events = ast.Attribute(
                value=ast.Name(id=EVENTS, ctx=ast.Load()), attr=method, ctx=ast.Load()
            )
            call = ast.Expr(value=ast.Call(func=events, args=[], keywords=[]))
            changed += [ast.copy_location(call, node), node]
            continue
        blocks = blocks_of(node)
        if isinstance(node, ast.For | ast.While):
            node.orelse = _with_exits(node.orelse)
        elif blocks:
            set_blocks(node, [_with_exits(block) for block in blocks])
        changed.append(node)
    return changed
