"""What a loop that runs tells the cell's observer."""

from __future__ import annotations

import ast
from collections.abc import Callable
from time import perf_counter
from typing import Final

from mpmagic.run.flight import Flight
from mpmagic.run.observer import Begun, Committed, Observer, Span, Standing, Unit
from mpmagic.run.options import LoopReport

__all__ = ["Telling"]

_BARS: Final = frozenset({"tqdm", "trange", "track", "alive_it", "progressbar"})


class Telling:
    """Tells of one loop, from its begin, which is when this is made, to its end.

    Parameters
    ----------
    loop
        The loop.
    observer
        Who hears it.
    report
        Says how many iterations there are, and takes the time that it took.
    """

    def __init__(self, loop: ast.For, observer: Observer, report: LoopReport) -> None:
        self._line = loop.lineno
        self._observer = observer
        self._report = report
        self._began = self._busy_since = perf_counter()
        has_bar = not _BARS.isdisjoint(_names(loop.iter))
        observer.begun(
            Begun(self._line, Unit.ITERATION, report.total, self._began, has_bar=has_bar)
        )

    def returned(self, flight: Flight) -> None:
        """A chunk has come back, and its commits may write."""
        log, span = flight.log, Span(flight.first, flight.count)
        if not flight.former:
            returned = flight.trip.returned(self._line, span, log.timing, samples=log.samples)
            self._observer.returned(returned)
        self._observer.make_way()
        self._busy_since = perf_counter()

    def committed(self, flight: Flight, count: int) -> None:
        """So many iterations of the chunk are committed."""
        committed = Committed(
            self._line, Span(flight.first, count), self._busy_since, perf_counter()
        )
        self._observer.committed(committed)

    def tick(self, standing: Callable[[], Standing]) -> None:
        """Time went by."""
        self._observer.tick(self._line, standing)

    def ended(self) -> None:
        """It is over."""
        now = perf_counter()
        self._report.wall = now - self._began
        self._observer.ended(self._line, now)


def _names(node: ast.expr) -> set[str]:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
