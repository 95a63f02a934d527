"""Running a count on an executor: on processes, where regular expressions hold the GIL."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from mpmagic.count import errand
from mpmagic.count.agenda import Agenda, Unit

__all__ = ["Dispatch"]

_REFRESH = 0.15
_PATIENCE = 1.0


class Dispatch:
    """Keeps an executor busy with the units of an agenda.

    Parameters
    ----------
    agenda : Agenda
        What is to be done.
    executor : concurrent.futures.Executor
        What does it.
    ahead : int
        How many units are under way at once: enough that no worker waits for its next one.
    """

    def __init__(self, agenda: Agenda, executor: Executor, ahead: int) -> None:
        self._agenda = agenda
        self._executor = executor
        self._ahead = ahead
        self._under_way: dict[Future[Any], Unit] = {}
        # Not concurrent.futures.wait: an interrupt in it could leave a future locked.
        self._ended: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()
        self._stopped = False

    def run(self, show: Callable[[int], None]) -> None:
        """Run until the agenda is done, and `show` the bytes that have been counted.

        Raises
        ------
        Exception
            What a task raised that wasn't an OSError, such as the death of its worker.
        """
        done, due = 0, time.monotonic() + _PATIENCE
        try:
            while not self._stopped and self._fill():
                done += self._wait(due - time.monotonic())
                if time.monotonic() >= due:
                    due = time.monotonic() + _REFRESH
                    show(done)
        finally:
            for future in self._under_way:
                future.cancel()

    def stop(self) -> None:
        """Have `run` return without waiting for what is under way; from any thread."""
        self._stopped = True
        self._ended.put(None)

    def _fill(self) -> bool:
        while len(self._under_way) < self._ahead and (unit := self._agenda.take()) is not None:
            future = self._executor.submit(errand.run, self._agenda.errand(unit))
            self._under_way[future] = unit
            future.add_done_callback(self._ended.put)
        return bool(self._under_way)

    def _wait(self, patience: float) -> int:
        """Take the outcome of the next unit and give its size, or nothing within that time."""
        try:
            future = self._ended.get(timeout=max(0.0, patience))
        except queue.Empty:
            return 0
        if future is None:
            return 0
        unit = self._under_way.pop(future)
        self._note(unit, future)
        return unit.size

    def _note(self, unit: Unit, future: Future[Any]) -> None:
        try:
            outcome = future.result()
        except OSError as error:
            outcome = error
        self._agenda.note(unit, outcome)
