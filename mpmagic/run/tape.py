"""What the work writes to its streams, kept in its place among the commits."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from mpmagic.run.log import TEXT
from mpmagic.run.routing import directed, has_lost_streams, is_routed
from mpmagic.run.tenancy import post

__all__ = ["Tape", "play", "taped"]


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
        self.events = events
        self.on_write: Callable[[], None] | None = None
        self._stream = stream
        self.name = f"<{stream}>"

    def write(self, text: str, /) -> int:
        """Keep the text."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        last = self.events[-1] if self.events else None
        if last is not None and last[0] == TEXT and last[1] == self._stream:
            last[2].append(text)
        else:
            self.events.append((TEXT, self._stream, [text]))
        if self.on_write is not None:
            self.on_write()
        return len(text)

    def writable(self) -> bool:
        """Yes."""
        return True


# For the life of the process: a handler of `logging` keeps the stream that it first met.
_tapes: Final = (Tape([], "stdout"), Tape([], "stderr"))


@contextmanager
def taped(
    events: list[tuple[Any, ...]], on_write: Callable[[], None] | None = None
) -> Iterator[None]:
    """While open, Python output goes into `events`, and `on_write` hears of it.

    That of this process, or of this thread where threads have streams of their own.
    """
    if is_routed():
        with _taped_here(events, on_write):
            yield
        return
    before = sys.stdout, sys.stderr
    tapes = _tapes
    kept = [(tape.events, tape.on_write) for tape in tapes]
    for tape in tapes:
        tape.events, tape.on_write = events, on_write
    sys.stdout, sys.stderr = tapes
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for tape, own in zip(tapes, kept, strict=True):
            tape.events, tape.on_write = own


@contextmanager
def _taped_here(
    events: list[tuple[Any, ...]], on_write: Callable[[], None] | None
) -> Iterator[None]:
    tapes = Tape(events, "stdout"), Tape(events, "stderr")
    for tape in tapes:
        tape.on_write = on_write
    with directed(*tapes):
        yield
    at = post()
    if at is not None and has_lost_streams():
        at.note("runs while `sys.stdout` or `sys.stderr` is replaced by an assignment")


def play(events: Iterable[tuple[Any, ...]]) -> None:
    """Write what was taped to this process's streams as they are now."""
    for _, stream, pieces in events:
        (sys.stdout if stream == "stdout" else sys.stderr).write("".join(pieces))
