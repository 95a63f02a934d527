"""Telling people what has become of their tasks: futures, callbacks, reports, text.

All of it may block or fail, for it takes others' locks and calls others' code. So the supervisor,
which never blocks, only says what is to be told; two threads tell it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mpmagic.pool.freight import Unopened
from mpmagic.pool.future import Outcome, TaskFuture
from mpmagic.pool.message import Text
from mpmagic.pool.notifier import Notifier
from mpmagic.pool.opening import show, tell_report
from mpmagic.pool.task import Task

__all__ = ["Herald"]


class Herald:
    """Settles futures in one thread, and runs the user's code in another."""

    def __init__(self) -> None:
        self._settler = Notifier("mpmagic-settler")
        self._notifier = Notifier("mpmagic-notifier")

    def start(self) -> None:
        self._settler.start()
        self._notifier.start()

    def finish(self) -> None:
        """Let the threads end when all has been told."""
        self._settler.put(self._notifier.finish)  # after the callbacks of what it settles
        self._settler.finish()

    def join(self) -> None:
        """Wait for the threads' end."""
        self._settler.join()
        self._notifier.join()

    def settle(self, task: Task, outcome: Outcome | None) -> None:
        """Resolve a task's future; None is cancelled."""
        future = task.future
        if task.on_report is not None:
            # After the reports that are on their way.
            self._notifier.put(partial(task.settle_reported, outcome))
        elif outcome is None or not future.settle_at_once(outcome):
            self._settler.put(partial(self._settle_slowly, future, outcome))
        elif future.has_callbacks:
            self._notifier.put(future.run_callbacks)

    def drop_cancelled(self, future: TaskFuture[Any]) -> None:
        """Tell those who wait for a future that it was cancelled."""
        self._settler.put(partial(self._settle_slowly, future, None))

    def report(self, task: Task, value: Unopened) -> None:
        """Hand over what a running task has reported."""
        if task.on_report is not None:
            self._notifier.put(partial(tell_report, task, value))

    def show(self, text: Text) -> None:
        """Show what a worker wrote."""
        if text:
            self._notifier.put(partial(show, text))

    def _settle_slowly(self, future: TaskFuture[Any], outcome: Outcome | None) -> None:
        """Settle where somebody's lock must be taken; callbacks may not keep that waiting."""
        future.settle(outcome)
        self._notifier.put(future.run_callbacks)
