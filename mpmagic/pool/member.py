"""The supervisor's view of one worker: its state, its channel and its task."""

from __future__ import annotations

import os
import socket
import time
from collections import deque

from mpmagic.errors import WorkerDied
from mpmagic.pool.books import Books
from mpmagic.pool.capture import last_text, new_output_file
from mpmagic.pool.channel import Channel
from mpmagic.pool.cpus import cpu_used
from mpmagic.pool.ends import Ends
from mpmagic.pool.launcher import Exit
from mpmagic.pool.limit import memory_used
from mpmagic.pool.message import Run, Text
from mpmagic.pool.status import WorkerState, WorkerStatus
from mpmagic.pool.task import Task
from mpmagic.pool.words import Word, Words

__all__ = ["Member"]


class Member:
    """One worker of the crew. Each transition of its state is one method.

    Parameters
    ----------
    number : int
        Never used again in this pool.
    books : Books
        On what it holds.
    restarts : int
        How many died in its place before it.
    most_tasks : int, optional
        It takes so many, and retires.
    """

    def __init__(
        self, number: int, *, books: Books, restarts: int, most_tasks: int | None = None
    ) -> None:
        self.number = number
        self.pid = 0
        self.state = WorkerState.STARTING
        self.task: Task | None = None
        self.own_tasks: deque[Task] = deque()
        self.books = books
        self.is_retiring = False
        self.look_at: float | None = None  # when a timer will look after it
        self.deadline: float | None = None
        self.restarts = restarts
        self._since = time.monotonic()
        self._done = 0
        self._most_tasks = most_tasks
        self._open_files()

    def _open_files(self) -> None:
        near, far = socket.socketpair()
        self.channel = Channel(near)
        page = Words.new_page()
        self.words = Words(page)
        self._stdout, self._stderr = new_output_file(), new_output_file()
        self.ends = Ends(far.detach(), page, os.dup(self._stdout), os.dup(self._stderr))

    # Transitions

    def become_ready(self, pid: int) -> None:
        self.pid = pid
        self._enter(WorkerState.IDLE)

    def begin(self, task: Task) -> None:
        """Send a task and what it needs."""
        self.task = task
        self.deadline = None
        if not task.clocked:
            self.start_clock()
        self._enter(WorkerState.BUSY)
        for message, descriptors, owner in self.books.ship(task.cargo):
            self.channel.send(message, descriptors, owner)
        self.channel.send(Run(task.number, task.cargo.pack))

    def start_clock(self) -> None:
        """From now on its task's time counts."""
        assert self.task is not None
        if self.task.timeout is not None:
            self.deadline = time.monotonic() + self.task.timeout

    def interrupt(self) -> None:
        """Name the task that the signal is meant for; whoever calls this sends it."""
        assert self.task is not None
        self.words[Word.INTERRUPTED] = self.task.number
        self._enter(WorkerState.INTERRUPTED)

    def finish(self) -> None:
        self.task = None
        self.deadline = None
        self._done += 1
        if self._done == self._most_tasks:
            self.is_retiring = True
        self._enter(WorkerState.IDLE)

    def leave(self) -> None:
        self._enter(WorkerState.LEAVING)

    def go(self) -> None:
        """Be gone: release all that belonged to the process."""
        self._enter(WorkerState.GONE)
        # A timer may know us for a while yet, and from a task it isn't far to its result and to
        # all that the frames of an exception's traceback refer to, the pool included.
        self.task = None
        self.own_tasks.clear()
        self.channel.close()
        self.words.close()
        os.close(self._stdout)
        os.close(self._stderr)

    def _enter(self, state: WorkerState) -> None:
        self.state = state
        self._since = time.monotonic()

    # Questions

    @property
    def is_gone(self) -> bool:
        return self.state is WorkerState.GONE

    @property
    def is_between(self) -> bool:
        """Whether it runs no task, nor was kept from running one: what it does is the pool's."""
        return self.state in (WorkerState.IDLE, WorkerState.BUSY) and not self.has_begun

    @property
    def has_begun(self) -> bool:
        """Whether it has begun the task that it was sent."""
        return self.task is not None and self.words[Word.BEGUN] == self.task.number

    @property
    def since(self) -> float:
        """Seconds since its state began."""
        return time.monotonic() - self._since

    @property
    def is_untried(self) -> bool:
        """Whether it has never got as far as finishing a task."""
        return self._done == 0

    @property
    def mark(self) -> int | None:
        number = self.words[Word.MARK]
        return number - 1 if number else None

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped the process, with SIGSTOP or a debugger."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
        except OSError:
            return False

    def last_words(self) -> Text:
        """Read what the dead worker wrote and didn't report."""
        stdout = last_text(self._stdout, self.words[Word.STDOUT_READ])
        stderr = last_text(self._stderr, self.words[Word.STDERR_READ])
        return tuple((n, t) for n, t in (("stdout", stdout), ("stderr", stderr)) if t)

    def obituary(self, how: Exit, task: Task) -> WorkerDied:
        """Say, to whoever waits for a task, how this worker ended."""
        return WorkerDied.of(
            pid=self.pid, how=str(how), label=task.label, peak=how.peak, mark=self.mark
        )

    def status(self) -> WorkerStatus:
        return WorkerStatus(
            pid=self.pid,
            state=self.state,
            label=self.task.label if self.task else "",
            since=self.since,
            done=self._done,
            rss=memory_used(self.pid) if self.pid else 0,
            restarts=self.restarts,
            cpu=cpu_used(self.pid) if self.pid else 0.0,
            mark=self.mark if self.has_begun else None,
        )
