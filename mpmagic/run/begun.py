"""Iterations as they begin in a worker, with what the kernel has run ahead for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from mpmagic.run.log import Given
from mpmagic.run.program import Program, opened

__all__ = ["Begun"]


class Begun:
    """Hands out what was run ahead, iteration by iteration.

    Parameters
    ----------
    given
        What the kernel has run ahead for the chunk; None if nothing runs ahead.
    program
        The program, whose names it's for.
    """

    def __init__(self, given: Given | None, program: Program) -> None:
        self._given, self._program = given, program
        states, drawn = (given.states, ()) if given else ((), ())
        if given is not None and given.packed is not None:
            states, drawn = opened(given.packed, program.side, "what ran ahead")
        self._states: Iterator[Any] = iter(states)
        self._drawn: Iterator[Any] = iter(drawn)

    def items(self, items: Iterable[Any]) -> Iterable[Any]:
        """The items whose iterations may begin."""
        return items if self._given is None else itertools.islice(items, self._given.count)

    def enter(self) -> None:
        """Let names have the values that they have where the next iteration begins."""
        if (state := next(self._states, None)) is not None:
            self._program.go_on(state)
        if (values := next(self._drawn, None)) is not None:
            self._program.take_drawn(values)
