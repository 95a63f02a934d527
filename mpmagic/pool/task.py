"""One call on its way through the pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpmagic.pool.depot import Cargo
from mpmagic.pool.future import Outcome, TaskFuture

__all__ = ["Task"]


@dataclass(slots=True, eq=False)
class Task:
    """A pickled call, and what is to happen with what comes of it.

    Attributes
    ----------
    timeout : float or None
        Seconds that it may run.
    retries : int
        How many more times it is run if its worker dies.
    reroutes : int
        How many more times it is sent elsewhere if its worker dies before it begins.
    clocked : bool
        Whether its time counts from when it says so, not from when it is sent.
    quiet : bool
        Whether what it wrote is dropped if its worker dies: it will be run again.
    report_error : BaseException or None
        What went wrong with a report of it; the future then has that.
    error : BaseException or None
        Why it couldn't be pickled.
    """

    cargo: Cargo
    future: TaskFuture[Any]
    label: str = ""
    timeout: float | None = None
    retries: int = 0
    on_report: Callable[[Any], object] | None = None
    reroutes: int = 3
    clocked: bool = False
    quiet: bool = False
    report_error: BaseException | None = None
    error: BaseException | None = None

    def settle_reported(self, outcome: Outcome | None) -> None:
        """Settle the future after its reports, and call its callbacks."""
        if self.report_error is not None:
            outcome = Outcome.of_error(self.report_error)
        self.future.settle(outcome)
        self.future.run_callbacks()

    @property
    def number(self) -> int:
        """Names the task in messages; 0 is no task."""
        return self.future.number
