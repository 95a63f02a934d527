"""What a child process writes, shown in the cell that started it."""

from __future__ import annotations

import codecs
import contextvars
import logging
import os
import select
import sys
import threading
from typing import Any

__all__ = ["Output", "hold", "let_go"]

_READ_BYTES = 1 << 20  # more than a pipe holds

_held: set[int] = set()


def hold(fd: int) -> int:
    """Note a descriptor that a process forked from this one must not keep open."""
    _held.add(fd)
    return fd


def let_go(fd: int) -> None:
    """Close such a descriptor."""
    _held.discard(fd)
    os.close(fd)


def _after_fork() -> None:
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_after_fork)


class Output:
    """Shows what comes through two pipes until nobody can write to them any more.

    Made by the thread that starts the process: what it writes goes to the streams that
    `sys.stdout` and `sys.stderr` are now, under the cell that runs now.

    Parameters
    ----------
    out, err : int
        Descriptors to read from; they are closed here.
    """

    def __init__(self, out: int, err: int) -> None:
        # IPython's kernel keeps, in a context variable, which cell the text belongs to.
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._pipes = [_Pipe(out, sys.stdout), _Pipe(err, sys.stderr)]
        threading.Thread(target=self._run, daemon=True, name="mpmagic-output").start()

    def drain(self) -> None:
        """Show what has been written by now."""
        for pipe in self._pipes:
            self._show(pipe)

    def _run(self) -> None:
        poll = select.poll()
        open_pipes = {p.fd: p for p in self._pipes}
        for fd in open_pipes:
            poll.register(fd, select.POLLIN)
        while open_pipes:
            for fd, _ in poll.poll():
                self._show(open_pipes[fd])
                if open_pipes[fd].has_ended:
                    poll.unregister(fd)
                    del open_pipes[fd]

    def _show(self, pipe: _Pipe) -> None:
        # The lock: the thread that waits for the process must not overtake the one that reads.
        with self._lock:
            self._context.run(pipe.show)


class _Pipe:
    def __init__(self, fd: int, stream: Any) -> None:
        self.fd = fd
        self.has_ended = False
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        os.set_blocking(fd, False)

    def show(self) -> None:
        """Show what is in the pipe."""
        if self.has_ended:
            return
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.has_ended = True
            let_go(self.fd)
        self._write(self._decoder.decode(data, final=not data))

    def _write(self, text: str) -> None:
        if not text or self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as error:  # the stream was closed meanwhile
            logging.getLogger("mpmagic.mp").debug("output of a process is lost: %r", error)
