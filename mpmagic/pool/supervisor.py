"""The one thread that owns a pool's state.

::

    kernel process                                                         worker processes
    ┌───────────────────────────────────────────────────────────┐
    │ any thread           supervisor thread                    │   socketpair   ┌────────────┐
    │ ──────────           ─────────────────                    │◄──────────────►│ worker 1   │
    │ submit, dispatch ──► Inbox ──► pending ──► Member 1 ──────┤ Run, Hold, ... │ one thread,│
    │ interrupt, grow      (SimpleQueue          Member 2 ──┐   │ Done, Report   │ one task   │
    │ (pickle here)         and eventfd)         ...        │   │                └─────▲──────┘
    │                           │                           │   │                      │ fork,
    │ Future.result ◄── Latch ──┤                           └───┼──► worker 2          │ signal,
    │ (unpickle here)           │                               │                      │ wait
    │                           ├───── launcher's channel ──────┤  socketpair    ┌─────┴──────┐
    │                           ▼                               ├───────────────►│ fork server│
    │   notifier thread: callbacks, on_report, output           │ Fork, Kill     │ one thread │
    │   settler thread: futures that somebody wait()s for       │ Forked, Exited └────────────┘
    └───────────────────────────────────────────────────────────┘

The supervisor sleeps in one `select` on its inbox, the members' channels, and the launcher's
channel (with the spawn method: each process's pidfd), until the first timer. It never blocks
elsewhere: its channels don't, the user's code runs in other threads, and what doesn't fit into a
socket waits in the channel's outbox. So a worker that is stopped, stuck or dead costs itself only.

A task belongs to exactly one of: the pending queue, one member's own tasks, or one member as its
present task. Wherever a member dies, its task is settled or goes back to the head of the queue.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any

from mpmagic.errors import TaskTimeout, WorkerDied
from mpmagic.pool import lifetime
from mpmagic.pool.crew import Crew, Orders
from mpmagic.pool.freight import Unopened
from mpmagic.pool.future import Outcome, TaskFuture
from mpmagic.pool.launcher import Exit
from mpmagic.pool.loop import Loop
from mpmagic.pool.member import Member
from mpmagic.pool.message import Done, Message, Output, Ready, Report, Text
from mpmagic.pool.notifier import Notifier
from mpmagic.pool.opening import open_failure, outcome_of, show, tell_report
from mpmagic.pool.status import WorkerState, WorkerStatus
from mpmagic.pool.task import Task

__all__ = ["Supervisor"]

_GRACE_SECONDS = 0.5  # between a task's SIGINT and its worker's SIGKILL
_STOPPED_SECONDS = 5.0  # a worker that is stopped and leaves its messages unread is dead
_LEAVING_SECONDS = 2.0
_MOST_FAILED_STARTS = 3


class Phase(Enum):
    """Where a pool is in its life."""

    OPEN = "takes tasks"
    CLOSING = "finishes the tasks that it has"
    LEAVING = "waits for its workers to leave"
    OVER = "done"


class Supervisor(Loop):
    """Gives tasks to workers and settles their futures.

    Parameters
    ----------
    orders : Orders
        How the workers are to be.
    most : int
        How many workers there may be.
    """

    def __init__(self, orders: Orders, most: int) -> None:
        super().__init__("mpmagic-supervisor")
        self._most = most
        self._wanted = 0
        self._phase = Phase.OPEN
        self._pending: deque[Task] = deque()
        self._tasks: dict[int, Task] = {}
        self._crew = Crew(orders, self._selector, self)
        self._failed_starts = 0
        self._settler = Notifier("mpmagic-settler")
        self._notifier = Notifier("mpmagic-notifier")

    # From any thread

    def drop_cancelled(self, future: TaskFuture[Any]) -> None:
        """Tell those who wait for a future that it was cancelled."""
        self._settler.put(partial(self._settle_slowly, future, None))

    def forsake(self) -> None:
        """Let go, in a forked child, of what belongs to the parent's pool."""
        self._inbox.close_in_child()
        if self._is_started:
            self._selector.close()
            self._crew.forsake()

    def join(self) -> None:
        """Wait until it is over and its threads have ended."""
        super().join()
        self._settler.join()
        self._notifier.join()

    # The loop

    def _begin_work(self) -> None:
        self._settler.start()
        self._notifier.start()

    def _work(self) -> None:
        self._assign()
        self._staff()
        self._advance()

    def _is_over(self) -> bool:
        return self._phase is Phase.OVER

    def _fail(self, error: BaseException) -> None:
        for task in list(self._tasks.values()):
            self._settle(task, Outcome.of_error(error))

    def _end_work(self) -> None:
        self._phase = Phase.OVER
        self._crew.close()
        self._settler.put(self._notifier.finish)  # after the callbacks of what it settles
        self._settler.finish()
        lifetime.release(self)

    # Commands

    def submit(self, task: Task) -> None:
        if self._phase is Phase.OVER:
            self._settle(task, Outcome.of_error(RuntimeError("the pool has been shut down")))
            return
        self._tasks[task.number] = task
        self._pending.append(task)

    def submit_each(self, make: Callable[[], Task]) -> list[Task]:
        """Make a task for each worker that exists and takes tasks."""
        tasks = []
        for member in self._crew:
            if member.state is not WorkerState.LEAVING and not member.is_retiring:
                task = make()
                self._tasks[task.number] = task
                member.own_tasks.append(task)
                tasks.append(task)
        return tasks

    def interrupt(self, numbers: Iterable[int], grace: float) -> None:
        for number in numbers:
            if (task := self._tasks.get(number)) is None:
                continue
            if task.future.claim():
                self._settle(task, None)
                continue
            for member in self._crew:
                if member.task is task:
                    self._interrupt(member, grace)

    def grow(self, count: int) -> None:
        self._most = max(self._most, count)
        self._wanted = max(self._wanted, count)

    def restart(self) -> None:
        """Replace all workers; those with a task when it is done."""
        for member in self._crew:
            member.is_retiring = True
            if member.state is WorkerState.IDLE and not member.own_tasks:
                self._dismiss(member)

    def shut_down(self, *, cancel: bool = False) -> None:
        """Take no more tasks, and leave when those that there are have ended."""
        if self._phase is Phase.OPEN:
            self._phase = Phase.CLOSING
        if cancel:
            self._assign()  # what was told before, and has a worker that waits for it, begins
            self._cancel_all()

    def abandon(self) -> None:
        """Leave at once, whatever runs."""
        self._cancel_all()
        self._fail(WorkerDied("the pool was shut down at the end of the interpreter"))
        self._phase = Phase.OVER

    def _cancel_all(self) -> None:
        for task in list(self._tasks.values()):
            if task.future.claim():
                self._settle(task, None)

    def statuses(self) -> list[WorkerStatus]:
        if self._phase is Phase.OVER:
            return []
        return [m.status() for m in self._crew]

    # Giving tasks to workers

    def _assign(self) -> None:
        for member in self._crew:
            if member.state is not WorkerState.IDLE:
                continue
            task = self._next_task(member)
            if task is not None:
                self._begin(member, task)
            elif member.is_retiring:
                self._dismiss(member)

    def _next_task(self, member: Member) -> Task | None:
        """Find a task that hasn't been cancelled."""
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
            self._settle(task, None)

    def _begin(self, member: Member, task: Task) -> None:
        task.future.start(member.pid)
        member.begin(task)
        self._crew.begun(member)
        self._watch(member)

    def _staff(self) -> None:
        """Hire as many workers as there is work for, and those that were there before."""
        if self._phase in (Phase.LEAVING, Phase.OVER):
            return
        crew = len(self._crew)
        starting = self._crew.count(WorkerState.STARTING)
        lacking = min(len(self._pending) - starting, self._most - crew)
        if self._phase is Phase.OPEN:
            lacking = max(lacking, self._wanted - crew)
        for _ in range(lacking):
            self._crew.hire()
        self._wanted = max(self._wanted, crew + max(lacking, 0))

    def _advance(self) -> None:
        """Go on to the next phase when the present one has nothing left to do."""
        if self._phase is Phase.CLOSING and not self._tasks:
            self._phase = Phase.LEAVING
            for member in self._crew:
                self._dismiss(member)
            self._timers.after(_LEAVING_SECONDS, self._hurry)
        if self._phase is Phase.LEAVING and self._crew.is_empty:
            self._phase = Phase.OVER

    def _hurry(self) -> None:
        self._phase = Phase.OVER  # the crew's end kills who is left

    def _dismiss(self, member: Member) -> None:
        if member.state is not WorkerState.LEAVING:
            self._crew.dismiss(member)

    # Watching tasks

    def _watch(self, member: Member) -> None:
        """Look again when the time limit ends, or to see whether the worker has taken its task."""
        pause = _STOPPED_SECONDS
        if member.deadline is not None:
            pause = min(pause, member.deadline - time.monotonic())
        if not member.is_watched:
            member.is_watched = True
            self._timers.after(pause, partial(self._look_after, member))

    def _look_after(self, member: Member) -> None:
        member.is_watched = False
        task = member.task
        if member.is_gone or task is None:
            return
        if member.deadline is not None and time.monotonic() >= member.deadline:
            member.deadline = None
            self._settle(task, Outcome.of_error(TaskTimeout.of(task.label, task.timeout)))
            self._interrupt(member, _GRACE_SECONDS)
        elif not member.has_begun and member.is_stopped:
            self._crew.signal(member, signal.SIGKILL)
        if member.deadline is not None or not member.has_begun:
            self._watch(member)

    def _interrupt(self, member: Member, grace: float) -> None:
        assert member.task is not None
        member.interrupt()
        self._crew.signal(member, signal.SIGINT)
        self._timers.after(grace, partial(self._kill, member, member.task.number))

    def _kill(self, member: Member, number: int) -> None:
        if member.task is not None and member.task.number == number:
            self._crew.signal(member, signal.SIGKILL)

    # From the crew

    def on_message(self, member: Member, message: Message, descriptors: list[int]) -> None:
        match message:
            case Done():
                self._on_done(member, message, descriptors)
            case Report():
                self._on_report(message, descriptors)
            case Output():
                self._show(message.text)
            case Ready():
                self._on_worker_ready(member, message)

    def _on_done(self, member: Member, message: Done, descriptors: list[int]) -> None:
        outcome = outcome_of(message, descriptors)
        self._show(message.text)
        self._failed_starts = 0
        member.books.forget_parcels(message.dropped)
        task = member.task
        member.finish()
        if task is not None and task.number in self._tasks:
            self._settle(task, outcome)

    def _on_report(self, message: Report, descriptors: list[int]) -> None:
        task = self._tasks.get(message.task)
        try:
            value = Unopened(message.value, descriptors)
        except (OSError, MemoryError) as error:
            if task is not None:
                task.report_error = error
            return
        if task is not None and task.on_report is not None:
            self._notifier.put(partial(tell_report, task, value))

    def _on_worker_ready(self, member: Member, message: Ready) -> None:
        member.become_ready(message.pid)
        if message.error is None:
            self._crew.preload(member)
            return
        _, error = open_failure(Unopened(message.error, []))
        died = WorkerDied(
            f"the pool's initializer failed in worker process {member.pid}: {error!r}"
        )
        died.__cause__ = error
        self._wanted = 0
        self._dismiss(member)
        self._fail_pending(died)

    def on_lost(self, member: Member, how: Exit) -> None:
        self._show(member.last_words())
        for task in member.own_tasks:
            self._settle(task, Outcome.of_error(member.obituary(how, task)))
        if member.task is not None:
            self._lose_task(member, member.task, how)
        elif member.is_untried and member.state is not WorkerState.LEAVING:
            self.on_failed_start(how)

    def _lose_task(self, member: Member, task: Task, how: Exit) -> None:
        if task.number not in self._tasks:  # settled already, by its time limit
            return
        if not member.has_begun and task.reroutes > 0:
            task.reroutes -= 1  # it never began, so to run it elsewhere repeats nothing
            self._pending.appendleft(task)
        elif task.retries > 0 and member.state is not WorkerState.INTERRUPTED:
            task.retries -= 1
            self._pending.appendleft(task)
        else:
            self._settle(task, Outcome.of_error(member.obituary(how, task)))

    def on_failed_start(self, how: Exit) -> None:
        self._inbox.ring()  # try again in another turn
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            self._failed_starts = 0
            self._wanted = 0
            self._fail_pending(
                WorkerDied(
                    f"no worker process could be started: the last of {_MOST_FAILED_STARTS} {how} "
                    f"before it had done anything"
                )
            )

    # Settling

    def _settle(self, task: Task, outcome: Outcome | None) -> None:
        self._tasks.pop(task.number, None)
        future = task.future
        if task.on_report is not None:
            # After the reports that are on their way.
            self._notifier.put(partial(task.settle_reported, outcome))
        elif outcome is None or not future.settle_at_once(outcome):
            self._settler.put(partial(self._settle_slowly, future, outcome))
        elif future.has_callbacks:
            self._notifier.put(future.run_callbacks)

    def _settle_slowly(self, future: TaskFuture[Any], outcome: Outcome | None) -> None:
        """Settle where somebody's lock must be taken; not in this thread, nor with callbacks."""
        future.settle(outcome)
        self._notifier.put(future.run_callbacks)

    def _fail_pending(self, error: BaseException) -> None:
        """Fail what waits for a worker; those that have one go on."""
        while self._pending:
            task = self._pending.popleft()
            claimed = task.future.running() or task.future.claim()
            self._settle(task, Outcome.of_error(error) if claimed else None)

    def _show(self, text: Text) -> None:
        if text:
            self._notifier.put(partial(show, text))
