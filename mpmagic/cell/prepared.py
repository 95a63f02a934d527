"""A slice of a loop's body that the kernel runs ahead of the commits, see `preparing`."""

from __future__ import annotations

import ast
from typing import Final, NamedTuple

from mpmagic.cell.draw import Draw

__all__ = ["CHECK", "DREW", "PLAIN", "TYPE", "Prepared", "drawing", "keeping", "looking_at"]


class Prepared(NamedTuple):
    """A slice of a loop's body that runs ahead.

    Attributes
    ----------
    names
        Names that it binds.
    carried
        Those of them whose values come from the iteration before.
    items
        Names of the loop's target that it reads.
    constants
        Names from outside that it reads, and the loop leaves alone.
    functions
        Names of what it calls.
    sources
        Names from outside that draws take from, and the loop leaves alone.
    draws
        The draws of random numbers that it makes.
    generators
        Names of the generators that it draws from.
    body
        Its statements; a draw calls the function `drawing` for it, and what is read of the item
        or bound is looked at (`TYPE`, `PLAIN`, `CHECK`), drawn values are kept (`DREW`).
    """

    names: frozenset[str] = frozenset()
    carried: tuple[str, ...] = ()
    items: frozenset[str] = frozenset()
    constants: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    draws: tuple[Draw, ...] = ()
    generators: frozenset[str] = frozenset()
    body: tuple[ast.stmt, ...] = ()

    @property
    def drawn(self) -> frozenset[str]:
        """Names of what it draws: the loop's own, not the notebook's."""
        return frozenset(draw.name for draw in self.draws)


TYPE: Final = ".type"
PLAIN: Final = ".plain"
CHECK: Final = ".check"
DREW: Final = ".drew"


def looking_at(name: str, at: ast.stmt) -> ast.stmt:
    """In the slice: looks whether the value of a name is immutable, in a hurry where it's plain."""
    value = ast.Name(id=name, ctx=ast.Load())
    kind = ast.Call(func=ast.Name(id=TYPE, ctx=ast.Load()), args=[value], keywords=[])
    plain = ast.Name(id=PLAIN, ctx=ast.Load())
    test = ast.Compare(left=kind, ops=[ast.NotIn()], comparators=[plain])
    look = ast.If(test=test, body=[_told(CHECK, ast.Constant(name), value)], orelse=[])
    return ast.copy_location(look, at)


def keeping(number: int, name: str, at: ast.stmt) -> ast.stmt:
    """In the slice: keeps what a draw has given."""
    told = _told(DREW, ast.Constant(number), ast.Name(id=name, ctx=ast.Load()))
    return ast.copy_location(told, at)


def _told(function: str, *arguments: ast.expr) -> ast.stmt:
    called = ast.Name(id=function, ctx=ast.Load())
    return ast.Expr(value=ast.Call(func=called, args=list(arguments), keywords=[]))


def drawing(number: int) -> str:
    """The name under which the slice calls what makes the draw of that number."""
    return f".draw{number}"
