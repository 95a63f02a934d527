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
    │   fetching threads: read large results in workers' memory │
    └───────────────────────────────────────────────────────────┘

The supervisor sleeps in one `select` on its inbox, the members' channels, and the launcher's
channel (with the spawn method: each process's pidfd), until the first timer. It never blocks
elsewhere: its channels don't, the user's code runs in other threads, and what doesn't fit into a
socket waits in the channel's outbox. So a worker that is stopped, stuck or dead costs itself only.

It decides who runs what; the `Ledger` knows what there is to run, the `Crew` makes workers and
hears them, the `Recruiter` says how many there shall be, the `Warden` looks after those that are
late, and the `Herald` tells people what has become of their tasks.

A task belongs to exactly one of: the pending queue, one member's own tasks, or one member as its
present task. Wherever a member dies, its task is settled or goes back to the head of the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mpmagic.errors import TaskTimeout, WorkerDied
from mpmagic.pool import lifetime
from mpmagic.pool.crew import Crew, Orders
from mpmagic.pool.fetching import fetch
from mpmagic.pool.freight import Unopened
from mpmagic.pool.future import Outcome, TaskFuture
from mpmagic.pool.herald import Herald
from mpmagic.pool.launcher import Exit
from mpmagic.pool.ledger import Ledger
from mpmagic.pool.loop import Loop
from mpmagic.pool.member import Member
from mpmagic.pool.message import (
    Clock,
    Done,
    Message,
    Output,
    Ready,
    Report,
    SendAgain,
    Taken,
)
from mpmagic.pool.opening import open_failure, outcome_of, outcome_of_rooms
from mpmagic.pool.parts import Room
from mpmagic.pool.recruiter import Recruiter
from mpmagic.pool.status import Phase, WorkerState, WorkerStatus
from mpmagic.pool.task import Task
from mpmagic.pool.warden import Warden

__all__ = ["Supervisor"]

_LEAVING_SECONDS = 2.0


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
        self._phase = Phase.OPEN
        self._herald = Herald()
        self._ledger = Ledger(self._herald)
        self._crew = Crew(orders, self._selector, self)
        self._warden = Warden(
            self._crew, self._timers, on_late=self._on_late, on_late_start=self._on_late_start
        )
        self._recruiter = Recruiter(
            self._crew, self._warden, most=most, start_limit=orders.start_limit
        )

    # From any thread

    def drop_cancelled(self, future: TaskFuture[Any]) -> None:
        """Tell those who wait for a future that it was cancelled."""
        self._herald.drop_cancelled(future)

    def forsake(self) -> None:
        """Let go, in a forked child, of what belongs to the parent's pool."""
        self._inbox.close_in_child()
        if self._is_started:
            self._selector.close()
            self._crew.forsake()

    def join(self) -> None:
        """Wait until it is over and its threads have ended."""
        super().join()
        self._herald.join()

    # The loop

    def _begin_work(self) -> None:
        self._herald.start()

    def _work(self) -> None:
        self._judge_starts()
        self._assign()
        self._ledger.settle_ended()
        self._staff()
        self._advance()

    def _is_over(self) -> bool:
        return self._phase is Phase.OVER

    def _fail(self, error: BaseException) -> None:
        self._ledger.fail(error)

    def _end_work(self) -> None:
        self._phase = Phase.OVER
        self._crew.close()
        self._herald.finish()
        lifetime.release(self)

    # Commands

    def submit(self, task: Task) -> None:
        if self._phase is Phase.OVER:
            over = RuntimeError("the pool has been shut down")
            self._ledger.settle(task, Outcome.of_error(over))
            return
        self._ledger.add(task)

    def submit_each(self, make: Callable[[], Task]) -> list[Task]:
        """Make a task for each worker that exists and takes tasks."""
        tasks: list[Task] = []
        if self._phase is Phase.OVER:
            return tasks
        self._staff()  # those that were asked for a moment ago are among them
        for member in self._crew:
            if member.state is not WorkerState.LEAVING and not member.is_retiring:
                tasks.append(make())
                self._ledger.add(tasks[-1], member)
        return tasks

    def interrupt(self, numbers: Iterable[int], grace: float) -> None:
        for number in numbers:
            if (task := self._ledger.find(number)) is None:
                continue
            if task.future.claim():
                self._ledger.settle(task, None)
                continue
            for member in self._crew:
                if member.task is task:
                    self._warden.interrupt(member, grace)

    def grow(self, count: int) -> None:
        self._recruiter.want(count)

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
            self._ledger.cancel()

    def abandon(self) -> None:
        """Leave at once, whatever runs."""
        self._ledger.cancel()
        self._ledger.fail(WorkerDied("the pool was shut down at the end of the interpreter"))
        self._phase = Phase.OVER

    def statuses(self) -> list[WorkerStatus]:
        if self._phase is Phase.OVER:
            return []
        return [m.status() for m in self._crew]

    # Giving tasks to workers

    def _assign(self) -> None:
        for member in self._crew:
            if member.state is not WorkerState.IDLE:
                continue
            task = self._ledger.next_for(member)
            if task is not None:
                self._begin(member, task)
            elif member.is_retiring:
                self._dismiss(member)

    def _begin(self, member: Member, task: Task) -> None:
        task.future.start(member.pid)
        member.begin(task)
        self._crew.begun(member)
        self._warden.watch(member)

    def _staff(self) -> None:
        if self._phase not in (Phase.LEAVING, Phase.OVER):
            self._recruiter.hire(self._ledger.waiting, replaces=self._phase is Phase.OPEN)

    def _advance(self) -> None:
        """Go on to the next phase when the present one has nothing left to do."""
        if self._phase is Phase.CLOSING and self._ledger.is_empty:
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

    # From the warden

    def _on_late(self, task: Task) -> None:
        self._ledger.settle(task, Outcome.of_error(TaskTimeout.of(task.label, task.timeout)))

    def _on_late_start(self, member: Member, limit: float) -> None:
        self._recruiter.want_none()
        self._dismiss(member)
        self._ledger.fail_pending(TaskTimeout.of("the pool's initializer", limit))

    # From the crew

    def on_message(self, member: Member, message: Message, descriptors: list[int]) -> None:
        match message:
            case Done():
                self._on_done(member, message, descriptors)
            case Clock():
                self._warden.start_clock(member, message.task)
            case Report():
                self._on_report(message, descriptors)
            case Output():
                self._herald.show(message.text)
            case Ready():
                self._on_worker_ready(member, message)

    def _on_done(self, member: Member, message: Done, descriptors: list[int]) -> None:
        self._herald.show(message.text)
        self._recruiter.succeeded()
        member.books.forget_parcels(message.dropped)
        if message.seal is None:
            self._end_task(member, outcome_of(message, descriptors))
            return
        fetch(
            member.pid,
            message,
            lambda rooms: self.tell(partial(self._on_fetched, member, message, rooms)),
        )

    def _on_fetched(self, member: Member, message: Done, rooms: list[Room] | None) -> None:
        if member.is_gone:  # and its task has been settled, or begins again elsewhere
            return
        if rooms is None:
            self._crew.say(member, SendAgain(message.task))
            return
        self._crew.say(member, Taken())
        self._end_task(member, outcome_of_rooms(message, rooms))

    def _end_task(self, member: Member, outcome: Outcome) -> None:
        task = member.task
        member.finish()
        if task is not None:
            self._ledger.end(task, outcome)

    def _on_report(self, message: Report, descriptors: list[int]) -> None:
        task = self._ledger.find(message.task)
        try:
            value = Unopened.of_segments(message.value, descriptors)
        except (OSError, MemoryError) as error:
            if task is not None:
                task.report_error = error
            return
        if task is not None:
            self._herald.report(task, value)

    def _on_worker_ready(self, member: Member, message: Ready) -> None:
        if member.state is not WorkerState.STARTING:  # told to leave before it was ready
            return
        member.become_ready(message.pid)
        if message.error is None:
            self._crew.preload(member)
            return
        _, error = open_failure(Unopened.of_segments(message.error, []))
        died = WorkerDied(
            f"the pool's initializer failed in worker process {member.pid}: {error!r}"
        )
        died.__cause__ = error
        self._recruiter.want_none()
        self._dismiss(member)
        self._ledger.fail_pending(died)

    def on_lost(self, member: Member, how: Exit) -> None:
        if member.task is None or not member.task.quiet:
            self._herald.show(member.last_words())
        for task in member.own_tasks:
            self._ledger.settle(task, Outcome.of_error(member.obituary(how, task)))
        if member.task is not None:
            self._lose_task(member, member.task, how)
        elif member.is_untried and member.state is not WorkerState.LEAVING:
            self.on_failed_start(how)

    def _lose_task(self, member: Member, task: Task, how: Exit) -> None:
        if task not in self._ledger:  # settled already, by its time limit
            return
        is_wanted = member.state is not WorkerState.INTERRUPTED
        if not is_wanted and not member.has_begun and how.is_orderly:
            # It left after an interrupted import, and this task had come too late to be read.
            self._ledger.settle(task, Outcome.of_error(KeyboardInterrupt()))
        elif is_wanted and not member.has_begun and task.reroutes > 0:
            task.reroutes -= 1  # it never began, so to run it elsewhere repeats nothing
            self._ledger.put_back(task)
        elif is_wanted and task.retries > 0:
            task.retries -= 1
            self._ledger.put_back(task)
        else:
            self._ledger.settle(task, Outcome.of_error(member.obituary(how, task)))

    def on_failed_start(self, how: Exit) -> None:
        self._recruiter.failed(how)
        self._inbox.ring()  # try again in another turn

    def _judge_starts(self) -> None:
        if (died := self._recruiter.verdict()) is not None:
            self._ledger.fail_pending(died)
