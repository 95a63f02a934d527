"""Pieces of the worker's half of a loop: calls of what it is given, operands in variables."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, Final, cast

from mpmagic.cell.speculation import AHEAD
from mpmagic.cell.syntax import brief, copied
from mpmagic.cell.vocabulary import DRAIN

__all__ = ["BOUND", "CAUGHT", "FAILED", "HELD", "ITEMS", "KEEP", "KEY", "LOG", "NUMBER", "SLOT",
           "WORK", "bound_now", "call", "caught", "held", "kept", "local",
           "with_operands"]  # fmt: skip

LOG: Final = ".log"
ITEMS: Final = ".items"
KEY: Final = ".key"
SLOT: Final = ".slot"
BOUND: Final = ".bound"
FAILED: Final = ".failed"
KEEP: Final = ".keep"
NUMBER: Final = ".number"
CAUGHT: Final = ".caught"
HELD: Final = ".held"

WORK: Final = (LOG, ITEMS, DRAIN, KEY, SLOT, BOUND, FAILED, KEEP, NUMBER, CAUGHT, AHEAD,
               HELD)  # fmt: skip
"""The parameters of the worker's function."""


Operands = list[tuple[ast.expr, ast.expr]]
"""Expressions, each with the form in which the worker looks at its value."""


def caught(
    number: int, work: list[ast.stmt], operands: Operands, bound: set[str]
) -> list[ast.stmt]:
    """In the worker: work and then operands, or what they raised and the operands that there are.

    What handlers need is there whatever the work raises: names that it doesn't bind.
    """
    computed: list[ast.stmt] = []
    without: list[ast.stmt] = []
    for k, (value, checked) in enumerate(operands, 1):
        safe = isinstance(value, ast.Name) and value.id not in bound
        computed.append(ast.Assign(targets=[local(number, k, ast.Store())], value=checked))
        other = copied(value) if safe else ast.Constant(None)
        without.append(ast.Assign(targets=[local(number, k, ast.Store())], value=other))
    caught = ast.Call(func=ast.Name(id=CAUGHT, ctx=ast.Load()), args=[], keywords=[])
    failure = local(number, 0, ast.Store())
    handler = ast.ExceptHandler(
        type=None, name=None, body=[ast.Assign(targets=[failure], value=caught), *without]
    )
    nothing = ast.Assign(targets=[failure], value=ast.Constant(None))
    attempt = ast.Try(body=[*work, *computed], handlers=[handler], orelse=[], finalbody=[])
    return [nothing, attempt if attempt.body else ast.Pass()]


def bound_now(names: Iterable[str], changed: Iterable[str]) -> ast.expr:
    """In the worker: the present values of private names, copied if they change later."""
    given: list[ast.expr] = [
        ast.Tuple(elts=[ast.Constant(name) for name in group], ctx=ast.Load())
        for group in (names, changed)
    ]
    return ast.Call(func=ast.Name(id=BOUND, ctx=ast.Load()), args=given, keywords=[])


def held(operand: ast.expr, line: int, *, copy: bool) -> ast.expr:
    """In the worker: an operand that the work may change after the commit in `line` has it."""
    given = [operand, ast.Constant(copy), ast.Constant(line), ast.Constant(brief(operand))]
    held = ast.Call(func=ast.Name(id=HELD, ctx=ast.Load()), args=given, keywords=[])
    return ast.copy_location(held, operand)


def call(function: str, *arguments: ast.expr) -> ast.Expr:
    name = ast.Name(id=function, ctx=ast.Load())
    return ast.Expr(value=ast.Call(func=name, args=list(arguments), keywords=[]))


def local(site: int, index: int, context: ast.expr_context | None = None) -> ast.expr:
    """In the worker: the variable that holds an operand of a mirrored store."""
    return ast.Name(id=f".{site}.{index}", ctx=context or ast.Load())


def with_operands(key: ast.expr, texts: list[str], site: int) -> ast.expr:
    """In the worker: an expression that takes operands, given as dumped, from their variables."""
    return cast(ast.expr, _Taking(texts, site).visit(key))


class _Taking(ast.NodeTransformer):
    def __init__(self, texts: list[str], site: int) -> None:
        self._left = dict(enumerate(texts))
        self._site = site

    def visit(self, node: ast.AST) -> Any:
        text = ast.dump(node) if isinstance(node, ast.expr) else ""
        for index, operand in self._left.items():
            if operand == text:
                del self._left[index]
                return local(self._site, index)
        return self.generic_visit(node)


def kept(place: ast.expr) -> list[ast.expr]:
    """The object that a mirrored store changes, and the key or attribute under which it does."""
    assert isinstance(place, ast.Attribute | ast.Subscript)
    owner = copied(place.value)
    if isinstance(place, ast.Attribute):
        return [owner, ast.Constant(place.attr), ast.Constant(True)]
    key = copied(place.slice)
    if isinstance(owner, ast.Name) and isinstance(key, ast.Tuple):
        key = key.elts[0]  # the slot as a whole
    return [owner, key, ast.Constant(False)]
