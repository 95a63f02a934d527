"""The tasks that a pool has been given, and has not yet told anybody the end of."""

from __future__ import annotations

from collections import deque

from mpmagic.pool.future import Outcome
from mpmagic.pool.herald import Herald
from mpmagic.pool.member import Member
from mpmagic.pool.task import Task

__all__ = ["Ledger"]


class Ledger:
    """Knows them, in the supervisor's thread.

    Parameters
    ----------
    herald : Herald
        Tells people what has become of their tasks.
    """

    def __init__(self, herald: Herald) -> None:
        self._herald = herald
        self._pending: deque[Task] = deque()
        self._tasks: dict[int, Task] = {}
        self._ended: list[tuple[Task, Outcome]] = []

    def __contains__(self, task: Task) -> bool:
        return task.number in self._tasks

    @property
    def is_empty(self) -> bool:
        return not self._tasks

    @property
    def waiting(self) -> int:
        """How many wait for a worker."""
        return len(self._pending)

    def find(self, number: int) -> Task | None:
        return self._tasks.get(number)

    def add(self, task: Task, member: Member | None = None) -> None:
        """Take a task, for any worker or for this one only."""
        self._tasks[task.number] = task
        (self._pending if member is None else member.own_tasks).append(task)

    def put_back(self, task: Task) -> None:
        """Let a task be the next one that begins, again."""
        self._pending.appendleft(task)

    def next_for(self, member: Member) -> Task | None:
        """Take the next task that hasn't been cancelled."""
        while True:
            if member.own_tasks:
                task = member.own_tasks.popleft()
            elif self._pending and not member.is_retiring:
                task = self._pending.popleft()
            else:
                return None
            # A task that is run again was claimed the first time.
            if task.future.running() or task.future.claim():
                return task
            self.settle(task, None)

    def end(self, task: Task, outcome: Outcome) -> None:
        """Note what a task has come to; it is settled in a moment."""
        self._ended.append((task, outcome))

    def settle_ended(self) -> None:
        """Settle what has ended, when the next tasks have begun.

        Whoever has waited for it takes the interpreter's lock, for two milliseconds at times, and
        the workers would wait for that.
        """
        ended, self._ended = self._ended, []
        for task, outcome in ended:
            if task in self:  # not by its time limit
                self.settle(task, outcome)

    def settle(self, task: Task, outcome: Outcome | None) -> None:
        """Resolve a task's future; None is cancelled."""
        self._tasks.pop(task.number, None)
        self._herald.settle(task, outcome)

    def cancel(self) -> None:
        """Cancel what hasn't begun."""
        for task in list(self._tasks.values()):
            if task.future.claim():
                self.settle(task, None)

    def fail(self, error: BaseException) -> None:
        """Fail all that there is."""
        for task in list(self._tasks.values()):
            self.settle(task, Outcome.of_error(error))

    def fail_pending(self, error: BaseException) -> None:
        """Fail what waits for a worker; those that have one go on."""
        while self._pending:
            task = self._pending.popleft()
            claimed = task.future.running() or task.future.claim()
            self.settle(task, Outcome.of_error(error) if claimed else None)
