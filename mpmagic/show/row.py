"""How far each loop of a cell has come, and how that is said."""

from __future__ import annotations

from dataclasses import dataclass

from mpmagic.run.observer import Begun, Standing, Straggler, Unit
from mpmagic.show.quantities import counted, duration

__all__ = ["Row"]

_LATE_SECONDS = 2.0


@dataclass(slots=True)
class Row:
    """One loop of a cell, or one group of calls.

    Attributes
    ----------
    begun
        What it is, and when it was reached last.
    now
        When it was looked at last.
    done
        Iterations whose work is done.
    committed
        Iterations of which the kernel is done with all.
    passes
        How many times the cell has reached it.
    straggler
        What holds up its end, if something does.
    read
        How much of a file is read whose lines it goes through; None for other loops.
    is_over
        Whether it has ended.
    """

    begun: Begun
    now: float
    done: int = 0
    committed: int = 0
    passes: int = 1
    straggler: Straggler | None = None
    read: float | None = None
    is_over: bool = False

    def begin_again(self, begun: Begun) -> None:
        """The cell has come back to it."""
        self.begun, self.now, self.straggler, self.read = begun, begun.at, None, None
        self.done = self.committed = 0
        self.passes += 1
        self.is_over = False

    def look(self, standing: Standing, now: float) -> None:
        """Take in how far it is."""
        self.done, self.straggler, self.now = standing.done, standing.straggler, now
        self.read = standing.share

    def end(self, now: float) -> None:
        """It has ended."""
        self.now, self.straggler, self.is_over = now, None, True
        self.done = self.committed

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return self.now - self.begun.at

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1; None if its length isn't known."""
        total = self.begun.total
        return min(1.0, self.done / total) if total else self.read

    @property
    def percent(self) -> str:
        """The same; rounded down, since 100% is when it's over. Empty if it isn't known."""
        return "" if self.share is None else f"{int(100 * self.share)}%"

    @property
    def rate(self) -> float:
        """Iterations per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def noun(self) -> str:
        """What is counted."""
        return "iteration" if self.begun.unit is Unit.ITERATION else "call"

    @property
    def label(self) -> str:
        """Which one it is."""
        again = f", pass {self.passes:,}" if self.passes > 1 else ""
        return f"line {self.begun.line}{again}"

    @property
    def waits_for(self) -> str:
        """What holds up the end; empty if nothing does for long."""
        if self.straggler is None or self.straggler.seconds < _LATE_SECONDS:
            return ""
        return f"{self.straggler.name} has run for {duration(self.straggler.seconds)} so far"

    @property
    def parts(self) -> list[str]:
        """How far it is, in pieces of text."""
        total, so_far = self.begun.total, duration(self.seconds)
        if self.is_over:
            return [counted(self.done, self.noun), so_far]
        if total is None:
            parts = [counted(self.done, self.noun), *self._pace, so_far]
            return [parts[0], f"{self.percent} of the file", *parts[1:]] if self.percent else parts
        parts = [f"{self.done:,} of {counted(total, self.noun)}", self.percent or "0%"]
        if self.waits_for:  # how long that takes nobody can tell from the others
            return [*parts, self.waits_for]
        if not self.done:
            return [*parts, so_far]
        left = duration((total - self.done) / self.rate)
        return [*parts, *([f"{left} left"] if self.done < total else []), *self._pace]

    @property
    def _pace(self) -> list[str]:
        if not self.rate:
            return []
        return [f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{self.rate:.2g}/s"]

    def __str__(self) -> str:
        return f"{self.label}: {', '.join(self.parts)}"
