"""What was drawn ahead for a chunk, and how the notebook's generators follow with the commits.

A generator that follows draws once more, which costs less than to look at its state, and what it
gives must be the same. Where much is drawn at once, it is moved on to the state that its copy had
after the draw, if it is where the copy was before it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mpmagic.run.log import UNBOUND
from mpmagic.run.streams import Leap, Streams

__all__ = ["Drawn", "is_same"]


@dataclass(slots=True)
class Drawn:
    """What was drawn for the iterations of a chunk.

    Attributes
    ----------
    streams
        What it was drawn from.
    check
        Makes sure that what was taken from is what it was.
    states
        What ran ahead besides, as a chunk gets it.
    rows
        For each iteration what it draws, by the numbers of the draws; `UNBOUND` if it doesn't.
    moves
        By iteration and number: how the generator was moved on by a draw that is worth it.
    nbytes
        How large it is.
    reason
        Why the last iteration's draws aren't all made, if so.
    failures
        By iteration and number: what an iterator has raised that was stepped itself.
    """

    streams: Streams
    check: Callable[[], None]
    states: list[tuple[Any, ...]]
    rows: list[list[Any]] = field(default_factory=list)
    moves: dict[tuple[int, int], Leap] = field(default_factory=dict)
    nbytes: int = 0
    reason: str = ""
    failures: dict[tuple[int, int], BaseException] = field(default_factory=dict)

    def begin(self) -> None:
        """Another iteration begins."""
        self.rows.append([UNBOUND] * len(self.streams.drawing))

    def keep(self, number: int, value: Any, *, leaps: bool) -> None:
        """The iteration that has begun last has drawn this; `leaps` if the generator may leap."""
        self.rows[-1][number] = value
        leap = self.streams.drawing[number].leap
        if leap is not None and leaps:
            self.moves[len(self.rows) - 1, number] = leap

    def leaps(self, index: int, number: int) -> bool:
        """Whether the generator doesn't draw once more, but is moved on, or was already."""
        if self.streams.flows(number):
            taken = self.rows[index][number] is not UNBOUND
            return taken or (index, number) in self.failures
        return (index, number) in self.moves

    def leapt(self, index: int, number: int) -> Any:
        """Move the generator on; what was drawn.

        Raises
        ------
        LostWrite
            If it isn't where it was when that was drawn.
        Exception
            What an iterator has raised that was stepped itself.
        """
        if (index, number) in self.failures:
            self.check()
            raise self.failures[index, number]
        if self.streams.flows(number):
            return self.rows[index][number]
        if not self.streams.move(number, self.moves[index, number]):
            raise self.streams.differs(number)
        return self.rows[index][number]

    def again(self, index: int, number: int, value: Any) -> Any:
        """The generator has drawn this once more.

        Raises
        ------
        LostWrite
            If it isn't what was drawn ahead.
        """
        if self.rows[index][number] is UNBOUND:
            raise self.streams.unmade(number, self.reason)
        if not is_same(self.rows[index][number], value):
            raise self.streams.differs(number)
        return value


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if hasattr(one, "tobytes"):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and bool(one.tobytes() == other.tobytes())
    return bool(one == other) or pickle.dumps(one) == pickle.dumps(other)
