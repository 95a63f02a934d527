"""mpmagic's own pool as an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from mpmagic.pool import Pool, WorkerStatus
from mpmagic.run.eachwork import Cells, settled
from mpmagic.run.engine import Engine, Trial
from mpmagic.run.feed import is_fed

__all__ = ["PoolEngine"]


class PoolEngine(Engine):
    """Processes of mpmagic's own, which carry reports, can be asked each, and can be stopped.

    Parameters
    ----------
    pool
        The pool.
    workers
        How many of its workers run at the same time.
    cells
        Gives the cells that each worker runs before anything else.
    """

    can_limit = True
    sees_traces = True
    outlasts_cells = True

    def __init__(self, pool: Pool, workers: int, cells: Callable[[], Cells] = tuple) -> None:
        super().__init__(pool, workers)
        self._pool = pool
        self._cells = cells

    @property
    def asks_each(self) -> bool:
        """Not while there is work in the background: who asks would have to wait for that."""
        return not is_fed(self.executor)

    @property
    def most_under_way(self) -> int:
        """No more than shall run where the pool has more workers, which would take them."""
        return self.workers if self._pool.max_workers > self.workers else super().most_under_way

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_report: Callable[[Any], object] | None = None,
    ) -> Future[Any]:
        """Dispatch it under its label."""
        call, given = self._after_cells(function, arguments)
        return self._pool.dispatch(call, given, label=label, on_report=on_report)

    def submit_trial(
        self, function: Callable[..., Any], *arguments: Any, label: str, trial: Trial
    ) -> Future[Any]:
        """Dispatch it under its limit."""
        call, given = self._after_cells(function, arguments)
        return self._pool.dispatch(
            call,
            given,
            on_report=trial.on_report,
            timeout=trial.timeout,
            label=label,
            clocked=trial.timeout is not None,
            quiet=trial.may_follow,
        )

    def ask_each(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        """Have each worker that exists called, after its present task.

        The cells needn't have run: what looks at captured values needs nothing of them, and they
        themselves come in this way.
        """
        return list(self._pool.submit_each(function, *arguments))

    def _after_cells(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A call that runs them first, in a worker that hasn't."""
        cells = self._cells()
        return (settled, (cells, function, *arguments)) if cells else (function, arguments)

    def stop(self, futures: Iterable[Future[Any]]) -> None:
        """Interrupt what runs; a worker that doesn't heed that is killed."""
        pending = list(futures)
        self._pool.interrupt(pending)
        super().stop(pending)

    def statuses(self) -> list[WorkerStatus]:
        """What each worker is doing."""
        return self._pool.workers()
