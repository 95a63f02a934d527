"""What the work writes to its streams, kept in its place among the commits.

That is Python's own text and, in a worker, what C code and child processes write to descriptors 1
and 2. Those are files in memory: whoever notes something in the log calls `catch_up` first, so
that it finds its place behind what was written there before.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from mpmagic.run.descriptors import has_descriptors, take_text, text_watch
from mpmagic.run.log import SHOWN, TEXT
from mpmagic.run.routing import directed, has_lost_streams, is_routed
from mpmagic.run.tenancy import post

__all__ = ["Tape", "catch_up", "noting", "play", "taped"]

_DESCRIPTORS: Final = {"stdout": 1, "stderr": 2}


class Tape(io.TextIOBase):
    """A stream that writes into a log's events.

    Parameters
    ----------
    events
        The log's events.
    stream
        ``"stdout"`` or ``"stderr"``.
    """

    encoding = "utf-8"

    def __init__(self, events: list[tuple[Any, ...]], stream: str) -> None:
        super().__init__()
        self.events: list[tuple[Any, ...]] | None = events
        self.has_text: Callable[[], bool] = bool
        self._stream = stream
        self.name = f"<{stream}>"
        _all.add(self)

    def write(self, text: str, /) -> int:
        """Keep the text."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.events is None:
            os.write(self.fileno(), text.encode("utf-8", "replace"))
            return len(text)
        with _noting:
            if self.has_text():
                catch_up(self.events)
            _note(self.events, self._stream, text)
        return len(text)

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor of the stream, for child processes that shall write there.

        Raises
        ------
        io.UnsupportedOperation
            Outside of a worker: there descriptors aren't part of the tape.
        """
        if self.events is not None and not has_descriptors():
            raise io.UnsupportedOperation("fileno")
        return _DESCRIPTORS[self._stream]


_all: Final[weakref.WeakSet[Tape]] = weakref.WeakSet()

# For the life of the process: a handler of `logging` keeps the stream that it first met.
_tapes: Final = (Tape([], "stdout"), Tape([], "stderr"))

# The work's own threads write too, and the one that tells the kernel what has been written.
_noting = threading.RLock()


def _step_aside() -> None:
    """In a process that the work has forked: what it writes comes by the descriptors."""
    global _noting
    _noting = threading.RLock()
    for tape in list(_all):
        tape.events = None


os.register_at_fork(after_in_child=_step_aside)


@contextmanager
def taped(events: list[tuple[Any, ...]]) -> Iterator[None]:
    """While open, output goes into `events`.

    That of this process, or of this thread where threads have streams of their own.
    """
    if is_routed():
        tapes = Tape(events, "stdout"), Tape(events, "stderr")
        for tape in tapes:
            tape.has_text = text_watch()
        try:
            with directed(*tapes):
                yield
        finally:
            catch_up(events)
        at = post()
        if at is not None and has_lost_streams():
            at.note("runs while `sys.stdout` or `sys.stderr` is replaced by an assignment")
        return
    before = sys.stdout, sys.stderr
    kept = [tape.events for tape in _tapes]
    for tape in _tapes:
        if tape.events is not None:
            catch_up(tape.events)  # what an outer tape still has to get
        tape.events, tape.has_text = events, text_watch()
    sys.stdout, sys.stderr = _tapes
    try:
        yield
    finally:
        catch_up(events)
        sys.stdout, sys.stderr = before
        for tape, own in zip(_tapes, kept, strict=True):
            tape.events = own


def catch_up(events: list[tuple[Any, ...]]) -> None:
    """Note what has been written to the descriptors of this worker since the last time."""
    if not has_descriptors():
        return
    with _noting:
        for stream, text in take_text():
            _note(events, stream, text)


def noting(events: list[tuple[Any, ...]]) -> Callable[[tuple[Any, ...]], None]:
    """A call that appends an event to a log, behind the text that was written before it."""
    append, has_text = events.append, text_watch()

    def note(event: tuple[Any, ...]) -> None:
        if has_text():
            catch_up(events)
        append(event)

    return note if has_descriptors() else append


def _note(events: list[tuple[Any, ...]], stream: str, text: str) -> None:
    last = events[-1] if events else None
    if last is not None and last[0] == TEXT and last[1] == stream:
        last[2].append(text)
    else:
        events.append((TEXT, stream, [text]))


def play(events: Iterable[tuple[Any, ...]]) -> None:
    """Write what was taped to this process's streams as they are now, and display it."""
    for code, *content in events:
        if code == SHOWN:
            content[0].show()
            continue
        stream, pieces = content
        (sys.stdout if stream == "stdout" else sys.stderr).write("".join(pieces))
