"""What happens while a cell's loops and calls run, told to whoever wants to show it.

The main thread tells it, and never while code of the user's runs: what an observer draws can't
land in the middle of that code's output, and no interrupt strikes while it draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from mpmagic.run.sampling import Samples

__all__ = ["UNTIMED", "Begun", "Committed", "Observer", "Observers", "Returned", "Span", "Standing",
           "Straggler", "Timing", "Unit"]  # fmt: skip


class Unit(Enum):
    """What is counted: the passes of a loop, or the calls outside of loops."""

    ITERATION = "iteration"
    CALL = "call"


class Timing(NamedTuple):
    """When a worker did what, in seconds of the clock that all processes of a machine share.

    Attributes
    ----------
    pid
        The worker's process.
    entered, began, ended
        When it began to read what it was sent, and its work began and ended.
    """

    pid: int = 0
    entered: float = 0.0
    began: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it worked."""
        return self.ended - self.began


UNTIMED: Final = Timing()
"""Of what never came as far as working."""


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive iterations of a loop; of a call its line in the cell, and 1.

    Attributes
    ----------
    first, count
        The first one and how many.
    """

    first: int
    count: int

    def named(self, unit: Unit) -> str:
        """Such as ``iterations 3 to 7``."""
        if unit is Unit.CALL:
            return f"line {self.first}"
        if self.count == 1:
            return f"iteration {self.first}"
        return f"iterations {self.first} to {self.first + self.count - 1}"


class Begun(NamedTuple):
    """A loop, or a group of calls, is reached.

    Attributes
    ----------
    line
        Its line in the cell.
    unit
        What it consists of.
    total
        How many there are; None if that can't be known.
    at
        The time.
    has_bar
        Whether the cell itself shows how far it has come.
    """

    line: int
    unit: Unit
    total: int | None
    at: float
    has_bar: bool = False


class Returned(NamedTuple):
    """A worker's log has come back: of a chunk, or of a call.

    Attributes
    ----------
    line
        Where the loop, or the first one of the calls, stands.
    span
        Its iterations.
    timing
        When the worker did what.
    sent, arrived
        When the kernel sent it and had it back.
    nbytes
        The size of what came back; 0 if unknown.
    samples
        Where its work spent how many seconds; empty if nobody looked.
    """

    line: int
    span: Span
    timing: Timing
    sent: float
    arrived: float
    nbytes: int
    samples: Samples


class Committed(NamedTuple):
    """The kernel has committed a chunk, or bound what a call gave.

    Attributes
    ----------
    line, span
        As of `Returned`.
    began, ended
        The times.
    """

    line: int
    span: Span
    began: float
    ended: float


class Straggler(NamedTuple):
    """The iteration that has run for longest while no work is left for others.

    Attributes
    ----------
    name
        Such as ``iteration 17``.
    seconds
        How long it has run.
    """

    name: str
    seconds: float


class Standing(NamedTuple):
    """How far a loop, or a group of calls, has come.

    Attributes
    ----------
    done
        Iterations whose work is done.
    straggler
        What holds up the end, if something does.
    share
        How much of a file is read whose lines are the iterations, from 0 to 1; None for others.
    """

    done: int
    straggler: Straggler | None = None
    share: float | None = None


class Observer:
    """Is told what happens and shows nothing; what shows something derives from it.

    Attributes
    ----------
    pause
        Seconds after which a wait shall be interrupted by a `tick`; None for never.
    samples
        Whether workers shall note where their time goes.
    """

    pause: float | None = None
    samples: bool = False

    def begun(self, what: Begun) -> None:
        """A loop or a group of calls begins."""

    def returned(self, chunk: Returned) -> None:
        """A chunk or a call has come back."""

    def committed(self, chunk: Committed) -> None:
        """The kernel is done with it."""

    def ended(self, line: int, at: float) -> None:
        """What had begun in that line has ended, in whatever way."""

    def tick(self, line: int, standing: Callable[[], Standing]) -> None:
        """Time goes by; `standing` is asked only if it is wanted."""

    def make_way(self) -> None:
        """Output of the user's may follow."""


class Observers(Observer):
    """Tells each of several."""

    def __init__(self, all_of_them: Iterable[Observer]) -> None:
        self._all = tuple(all_of_them)
        pauses = [o.pause for o in self._all if o.pause is not None]
        self.pause = min(pauses, default=None)
        self.samples = any(o.samples for o in self._all)

    def begun(self, what: Begun) -> None:
        for observer in self._all:
            observer.begun(what)

    def returned(self, chunk: Returned) -> None:
        for observer in self._all:
            observer.returned(chunk)

    def committed(self, chunk: Committed) -> None:
        for observer in self._all:
            observer.committed(chunk)

    def ended(self, line: int, at: float) -> None:
        for observer in self._all:
            observer.ended(line, at)

    def tick(self, line: int, standing: Callable[[], Standing]) -> None:
        for observer in self._all:
            observer.tick(line, standing)

    def make_way(self) -> None:
        for observer in self._all:
            observer.make_way()
