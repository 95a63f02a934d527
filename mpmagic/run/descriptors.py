"""Descriptors 1 and 2 of a process that isn't the work's alone, while the work has its turn.

C code and child processes write there, past Python's streams. A worker of mpmagic's own pool has
files in memory behind them for its life; another executor's gets them for as long as a chunk runs,
and what its own loggers write meanwhile goes where it always went.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from mpmagic.pool import drain_output, in_worker, output_watch
from mpmagic.pool.capture import Tail, new_output_file
from mpmagic.run.routing import BY_THE_WORK, Patches

__all__ = ["capturing", "has_descriptors", "take_text", "text_watch"]

Text = list[tuple[str, str]]

_NUMBERS: Final = {1: "stdout", 2: "stderr"}


class _Lent:
    """The files in memory, made for the first chunk and used for all."""

    def __init__(self) -> None:
        self._files = {number: new_output_file() for number in _NUMBERS}
        self._tails = {number: Tail(file) for number, file in self._files.items()}
        self.is_on = False

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While open, they stand behind the descriptors."""
        patches = Patches()
        saved: dict[int, TextIO] = {number: os.fdopen(_another(number), "w") for number in _NUMBERS}
        _leave_loggers_alone(patches, saved)
        try:
            for number, file in self._files.items():
                os.dup2(file, number)
            self.is_on = True
            yield
        finally:
            self.is_on = False
            for number, stream in saved.items():
                os.dup2(stream.fileno(), number)
            patches.undo()
            for stream in saved.values():
                stream.close()

    def take(self) -> Text:
        """What has been written since the last time."""
        texts = ((_NUMBERS[number], tail.read()) for number, tail in self._tails.items())
        return [(name, text) for name, text in texts if text]


_lent: _Lent | None = None


@contextmanager
def capturing() -> Iterator[None]:
    """While open, what this process writes to its descriptors can be taken."""
    global _lent
    if _lent is None:
        _lent = _Lent()
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "flush", bool)()  # a daemon may have none
    with _lent.in_place():
        yield


def _another(number: int) -> int:
    """Another descriptor of the same file; where there is none, of one that nobody reads."""
    try:
        return os.dup(number)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _leave_loggers_alone(patches: Patches, own: dict[int, TextIO]) -> None:
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler: Any = reference()
        stream = getattr(handler, "stream", None)
        if handler in BY_THE_WORK or "stream" not in vars(handler):
            continue
        if (number := _number_of(stream)) in own:
            patches.set(handler, "stream", own[number])


def _number_of(stream: Any) -> int:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, TypeError, ValueError, io.UnsupportedOperation):
        return -1


def has_descriptors() -> bool:
    """Whether what this process writes to its descriptors can be taken."""
    return in_worker() or (_lent is not None and _lent.is_on)


def take_text() -> Text:
    """What has been written to them since the last time, by stream."""
    if in_worker():
        return drain_output()
    return _lent.take() if _lent is not None and _lent.is_on else []


def text_watch() -> Callable[[], bool]:
    """Says whether there may be something to take: for what happens a million times."""
    return output_watch() if in_worker() else has_descriptors
