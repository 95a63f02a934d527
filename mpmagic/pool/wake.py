"""Commands for a thread that waits on descriptors."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import call
from queue import SimpleQueue

__all__ = ["Command", "Inbox"]

Command = Callable[[], object]

_call: Callable[[Command], object] = call  # a C function: map enters no bytecode


class Inbox:
    """A queue with a descriptor that is readable while the queue may hold something.

    Safe when KeyboardInterrupt strikes the sender at any bytecode: a command is in the queue and
    announced, or neither.
    """

    def __init__(self) -> None:
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._read, self._write, self.ring = _bell()

    def fileno(self) -> int:
        return self._read

    def put(self, command: Command) -> None:
        # One call from Python's point of view: signal handlers run between bytecodes, and there
        # is none between the two calls that map makes. A command that was put and not announced
        # would wait for the next one.
        both: tuple[Command, Command] = (partial(self._commands.put, command), self.ring)
        deque(map(_call, both), maxlen=0)

    def close_in_child(self) -> None:
        """Close, in a forked child, what belongs to the parent."""
        self.__del__()
        self._read = self._write = -1

    def take(self) -> Iterator[Command]:
        """Yield what has been put so far."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        for _ in range(self._commands.qsize()):
            yield self._commands.get()

    def __del__(self) -> None:
        # Not before: a sender that is late by a moment would write into whatever file has got
        # the descriptor's number since.
        for fd in {self._read, self._write} - {-1}:
            os.close(fd)


def _bell() -> tuple[int, int, Command]:
    """Give a descriptor to wait on, the one that wakes it, and how that is done."""
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return fd, fd, partial(os.eventfd_write, fd, 1)
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    return read, write, partial(_ring_pipe, write)


def _ring_pipe(fd: int) -> None:
    # Full of bytes that nobody has read yet: announced already.
    with contextlib.suppress(BlockingIOError):
        os.write(fd, b"\0")
