"""A loop that only counts, summed per chunk in the workers and added up in the kernel.

It goes as far as it is exactly the same: at the first chunk whose sums wouldn't be, it stops in
front of that chunk, and what is left of the loop runs commit by commit.
"""

from __future__ import annotations

import builtins
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from mpmagic.cell.tallied import Tallied
from mpmagic.pool import Parcel
from mpmagic.run.context import CellContext
from mpmagic.run.engine import recall
from mpmagic.run.filerange import FileRange
from mpmagic.run.observer import Committed, Span, Standing
from mpmagic.run.options import LoopReport
from mpmagic.run.ranges import FileRanges
from mpmagic.run.tallywork import Sums, run_tally
from mpmagic.run.trip import Trip

__all__ = ["Combined", "can_combine"]

_FIRST: Final = 256 << 10
_LARGEST: Final = 8 << 20
_SENDABLE: Final = (int, float, complex, bool, str, bytes, type(None), re.Pattern)


def can_combine(tallied: Tallied, captured: dict[str, Any], cell: CellContext) -> bool:
    """Whether what the loop's names stand for now is such that sums are the same."""
    namespace = cell.namespace
    if cell.observer.samples:
        return False  # a sum has no lines of its own
    if cell.options.chunk is not None or cell.options.seed is not None or cell.options.local:
        return False
    if any(namespace.get(n, vars(builtins)[n]) is not vars(builtins)[n] for n in tallied.called):
        return False
    if any(type(v) not in _SENDABLE and not _is_builtin(n, v) for n, v in captured.items()):
        return False
    counters = [namespace.get(name) for name in tallied.counters]
    apart = len({id(counter) for counter in counters}) == len(counters)
    sums = all(type(namespace.get(name)) is int for name in tallied.sums)
    return apart and sums and all(map(_is_counter, counters))


def _is_builtin(name: str, value: Any) -> bool:
    return value is re or value is getattr(builtins, name, None)


def _is_counter(value: Any) -> bool:
    if type(value) is defaultdict:
        return value.default_factory is int
    return type(value) in (dict, Counter)


@dataclass(frozen=True, slots=True)
class _Flight:
    part: FileRange
    future: Future[Any]
    trip: Trip


class Combined:
    """One run of such a loop over the stretches of a file.

    Parameters
    ----------
    tallied
        The loop.
    ranges
        The file.
    parcels
        The program and the captured values, as the workers load them.
    cell
        The cell.
    report
        Takes what became of the loop.
    """

    def __init__(
        self,
        tallied: Tallied,
        ranges: FileRanges,
        parcels: tuple[Parcel, Parcel],
        cell: CellContext,
        report: LoopReport,
    ) -> None:
        self._tallied = tallied
        self._ranges = ranges
        self._parcels = parcels
        self._cell = cell
        self._report = report
        self._engine = cell.engine()
        self._flights: deque[_Flight] = deque()
        self._size = _FIRST

    def run(self) -> Iterator[Any]:
        """Run as far as it goes; what is left of the loop's items.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts; the stretches before are committed.
        """
        try:
            with self._cell.inbox:
                while (flight := self._oldest()) is not None and self._commit(flight):
                    continue
        except KeyboardInterrupt:
            self._ranges.leave()
            raise
        finally:
            futures = [flight.future for flight in self._flights]
            recall(self._engine, futures, self._cell.inbox)
        return self._ranges.rest()

    def _oldest(self) -> _Flight | None:
        self._refill()
        if not self._flights:
            return None
        while not self._flights[0].future.done():
            self._wait_for_change()
            self._refill()
        return self._flights.popleft()

    def _wait_for_change(self) -> None:
        oldest, before = self._flights[0].future, self._under_way()
        self._cell.inbox.wait_until(
            lambda: oldest.done() or self._under_way() < before,
            pause=self._cell.observer.pause,
            tick=self._tick,
        )

    def _tick(self) -> None:
        # How many lines a stretch has nobody knows before it's back.
        line, done = self._report.line, self._report.iterations
        self._cell.observer.tick(line, lambda: Standing(done, share=self._ranges.share))

    def _under_way(self) -> int:
        return sum(not flight.future.done() for flight in self._flights)

    def _refill(self) -> None:
        workers = self._cell.workers
        most = min(workers + 1, self._engine.most_under_way)
        while self._under_way() < most and len(self._flights) < 4 * workers + 4:
            # They shrink towards the end, so that workers finish together.
            size = min(self._size, max(_FIRST, self._ranges.left // (2 * workers)))
            part = self._ranges.cut(size)
            if part is None:
                return
            self._size = min(2 * self._size, _LARGEST)
            future = self._submit(part)
            self._flights.append(_Flight(part, future, Trip(future)))

    def _submit(self, part: FileRange) -> Future[Any]:
        label = f"bytes {part.start} to {part.stop}"
        future = self._engine.submit(run_tally, *self._parcels, part, label=label)
        self._cell.inbox.watch(future)
        return future

    def _commit(self, flight: _Flight) -> bool:
        # A worker that died, too: if the work is to blame, it dies again on the ordinary way.
        if flight.future.exception() is not None:
            return False
        sums: Sums | None = flight.future.result()
        if sums is None or not self._addable(sums):
            return False
        namespace, began = self._cell.namespace, perf_counter()
        for name, found in sums.counters.items():
            counter = namespace[name]
            for key, number in found.items():
                counter[key] = counter.get(key, 0) + number
        for name, number in sums.numbers.items():
            namespace[name] += number
        namespace.update(sums.finals)
        self._ranges.done(flight.part, sums.iterations)
        self._tell(flight, sums, began)
        self._report.iterations += sums.iterations
        self._report.chunks += 1
        self._report.work += sums.timing.seconds
        return True

    def _tell(self, flight: _Flight, sums: Sums, began: float) -> None:
        line, span = self._report.line, Span(self._report.iterations, sums.iterations)
        observer = self._cell.observer
        observer.returned(flight.trip.returned(line, span, sums.timing))
        observer.committed(Committed(line, span, began, perf_counter()))

    def _addable(self, sums: Sums) -> bool:
        """Whether each addition is one of integers that can't fail."""
        for name, found in sums.counters.items():
            counter = self._cell.namespace[name]
            if type(counter) is dict and not found.keys() <= counter.keys():
                return False
            if not all(type(counter.get(key, 0)) is int for key in found):
                return False
        return True
