"""Looking after workers: time limits, interrupts, and those that will never begin.

A worker that has begun a task may take as long as the task's limit says. Before that nothing of
the user's runs in it but the initialiser and the import of modules that the kernel has: one that
doesn't get to its task has been stopped, or hangs in one of these.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from mpmagic.pool.crew import Crew
from mpmagic.pool.member import Member
from mpmagic.pool.status import WorkerState
from mpmagic.pool.task import Task
from mpmagic.pool.timers import Timers

__all__ = ["Warden"]

_GRACE_SECONDS = 0.5  # between a task's SIGINT and its worker's SIGKILL
_STOPPED_SECONDS = 5.0  # a worker that is stopped and leaves its messages unread is dead
_START_SECONDS = 10.0  # that a process may take to start, besides its initialiser
_STUCK_SECONDS = 60.0  # one that hasn't begun its task by then hangs in an import ahead


class Warden:
    """Interrupts and kills, in the supervisor's thread.

    Parameters
    ----------
    crew : Crew
        The workers.
    timers : Timers
        The supervisor's.
    on_late : callable
        Is told of a task that has run longer than it may.
    on_late_start : callable
        Is told of a worker whose initialiser has, and the limit.
    """

    def __init__(
        self,
        crew: Crew,
        timers: Timers,
        *,
        on_late: Callable[[Task], None],
        on_late_start: Callable[[Member, float], None],
    ) -> None:
        self._crew = crew
        self._timers = timers
        self._on_late = on_late
        self._on_late_start = on_late_start

    def watch_start(self, member: Member, limit: float | None) -> None:
        """See to it that a new worker gets ready, or ends."""
        end = None if limit is None else time.monotonic() + _START_SECONDS + limit
        self._watch_start(member, end, limit or 0.0)

    def watch(self, member: Member) -> None:
        """See to it that a worker begins its task, and ends it when the time is over."""
        pause = _pause(member.deadline)
        wanted = time.monotonic() + pause
        if member.look_at is None or wanted < member.look_at:
            member.look_at = wanted
            self._timers.after(pause, partial(self._look_after, member, wanted))

    def start_clock(self, member: Member, number: int) -> None:
        """Let the time of a worker's task count from now on."""
        if member.task is not None and member.task.number == number and member.task.clocked:
            member.start_clock()
            self.watch(member)

    def interrupt(self, member: Member, grace: float = _GRACE_SECONDS) -> None:
        """Raise KeyboardInterrupt in a worker's task; kill it if it runs that after the grace."""
        assert member.task is not None
        member.interrupt()
        self._crew.signal(member, signal.SIGINT)
        self._timers.after(grace, partial(self._kill, member, member.task.number))

    def _watch_start(self, member: Member, end: float | None, limit: float) -> None:
        self._timers.after(_pause(end), partial(self._look_at_start, member, end, limit))

    def _look_at_start(self, member: Member, end: float | None, limit: float) -> None:
        if member.state is not WorkerState.STARTING:
            return
        if end is not None and time.monotonic() >= end:
            self._on_late_start(member, limit)
            self._crew.signal(member, signal.SIGKILL)
        elif member.is_stopped:
            self._crew.signal(member, signal.SIGKILL)
        else:
            self._watch_start(member, end, limit)

    def _look_after(self, member: Member, planned: float) -> None:
        if member.look_at != planned:  # an earlier look was wanted, and has been had
            return
        member.look_at = None
        task = member.task
        if member.is_gone or task is None:
            return
        if member.deadline is not None and time.monotonic() >= member.deadline:
            member.deadline = None
            self._on_late(task)
            self.interrupt(member)
        elif not member.has_begun and (member.is_stopped or member.since > _STUCK_SECONDS):
            self._crew.signal(member, signal.SIGKILL)
        if member.deadline is not None or not member.has_begun:
            self.watch(member)

    def _kill(self, member: Member, number: int) -> None:
        if member.task is not None and member.task.number == number:
            self._crew.signal(member, signal.SIGKILL)


def _pause(end: float | None) -> float:
    """Give the time to the next look."""
    return _STOPPED_SECONDS if end is None else min(_STOPPED_SECONDS, end - time.monotonic())
