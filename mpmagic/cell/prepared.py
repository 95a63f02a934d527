"""A slice of a loop's body that the kernel runs ahead of the commits, see `preparing`."""

from __future__ import annotations

import ast
from dataclasses import dataclass

__all__ = ["Prepared"]


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
    body
        Its statements.
    """

    names: frozenset[str] = frozenset()
    carried: tuple[str, ...] = ()
    items: frozenset[str] = frozenset()
    constants: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    body: tuple[ast.stmt, ...] = ()
