"""A slice of a loop's body that the kernel runs ahead of the commits, see `preparing`."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from mpmagic.cell.draws import Draw

__all__ = ["Prepared", "drawing"]


@dataclass(frozen=True, slots=True)
class Prepared:
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
        Its statements; a draw calls the function `drawing` for it.
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


def drawing(number: int) -> str:
    """The name under which the slice calls what makes the draw of that number."""
    return f".draw{number}"
