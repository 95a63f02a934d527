"""A task's way to a worker and back, and how far those that are under way have come."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from time import perf_counter
from typing import Any

from mpmagic.pool import WorkerState, WorkerStatus
from mpmagic.run.engine import Engine
from mpmagic.run.observer import Returned, Span, Standing, Straggler, Timing, Unit
from mpmagic.run.sampling import Samples

__all__ = ["Trip", "standing"]


class _Arrival:
    """When a task came back: apart from its trip, whose future keeps what it calls."""

    __slots__ = ("moment",)

    def __init__(self) -> None:
        self.moment = 0.0

    def note(self, _: Future[Any]) -> None:
        self.moment = perf_counter()


class Trip:
    """When a task was sent, and when it came back.

    Parameters
    ----------
    future
        The task, sent just now.
    """

    __slots__ = ("_arrival", "_future", "_sent")

    def __init__(self, future: Future[Any]) -> None:
        self._future = future
        self._sent = perf_counter()
        self._arrival = _Arrival()
        future.add_done_callback(self._arrival.note)

    def returned(
        self, line: int, span: Span, timing: Timing, *, samples: Samples | None = None
    ) -> Returned:
        """What an observer is told of it when it has come back."""
        # A future can be asked for its result a moment before it calls back.
        arrived = self._arrival.moment or perf_counter()
        if not self._sent <= timing.entered <= timing.ended <= arrived:  # another machine's clock
            late = arrived - timing.ended
            timing = Timing(timing.pid, *(moment + late for moment in timing[1:]))
        nbytes = getattr(self._future.result(), "nbytes", 0)
        return Returned(line, span, timing, self._sent, arrived, nbytes, samples or {})


def standing(
    engine: Engine, away: Mapping[Future[Any], Span], done: int, *, unit: Unit, spare: int
) -> Standing:
    """How far a loop, or a group of calls, has come.

    Parameters
    ----------
    engine
        Where the tasks run; some can't tell what their workers are at.
    away
        Those that were sent and aren't back, with their iterations.
    done
        Iterations whose work is done, apart from those.
    unit
        What is counted.
    spare
        How many workers have nothing to do, and won't get anything.
    """
    spans = {getattr(future, "worker", None): span for future, span in away.items()}
    busy = [w for w in engine.statuses() if w.state is WorkerState.BUSY and w.pid in spans]
    done += sum(_passed(worker, spans[worker.pid]) for worker in busy)
    if spare <= 0 or not busy:
        return Standing(done)
    slowest = max(busy, key=lambda worker: worker.since)
    name = _name(slowest, spans[slowest.pid], unit)
    return Standing(done, Straggler(name, slowest.since))


def _passed(worker: WorkerStatus, span: Span) -> int:
    """Iterations of a chunk before the one that its worker is at."""
    if worker.mark is None or not 0 <= worker.mark - span.first < span.count:
        return 0
    return worker.mark - span.first


def _name(worker: WorkerStatus, span: Span, unit: Unit) -> str:
    name = span.named(unit)
    return name if span.count == 1 or worker.mark is None else f"{name} (now {worker.mark})"
