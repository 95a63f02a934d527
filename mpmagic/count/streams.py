"""What has no size and no offsets, or none worth using: pipes, remote files, open files, bytes.

All are read in the caller's thread, one after the other: any of them may stay silent for ever, and
there Ctrl-C reaches the wait.
"""

from __future__ import annotations

import errno
import io
import os
import select
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from typing import Any, TypeVar

from mpmagic.count.counter import Counter
from mpmagic.count.decoding import Source, corruption, decoded
from mpmagic.count.formats import HEAD, Format, format_of
from mpmagic.count.places import Place
from mpmagic.count.record import FileCount, Status, failed, record_of
from mpmagic.count.regular import open_regular
from mpmagic.count.remote import fsspec
from mpmagic.count.tally import Tally

__all__ = ["count_stream"]

_Read = TypeVar("_Read")


def count_stream(place: Place, counter: Counter, *, raw: bool) -> Iterator[FileCount]:
    """Count what a place gives up to its end.

    Yields
    ------
    FileCount
        Once: of all that came, or after an interrupt of what had come, which then goes on.
    """
    tally, format_ = Tally(), Format.PLAIN
    try:
        with _opened(place) as source:
            peeked = _Peeked(source)
            format_ = Format.PLAIN if raw else format_of(peeked.head)
            counter.count(peeked if format_ is Format.PLAIN else decoded(peeked, format_), tally)
    except KeyboardInterrupt:
        yield record_of(place.path, tally, Status.PARTIAL, "interrupted before its end")
        raise
    except corruption() as error:
        yield _broken(place, tally, format_, error)
    else:
        yield _complete(place, tally)


def _complete(place: Place, tally: Tally) -> FileCount:
    if place.is_pipe and not tally.size:
        return failed(place.path, OSError(errno.EPIPE, "a pipe that nobody writes to", place.path))
    return record_of(place.path, tally, Status.COUNTED)


def _broken(place: Place, tally: Tally, format_: Format, error: BaseException) -> FileCount:
    failure = error if isinstance(error, OSError) else OSError(f"{format_.value} data: {error}")
    if not tally.size:
        return failed(place.path, failure)
    reason = f"{failure} after {tally.size:,} bytes"
    return record_of(place.path, tally, Status.PARTIAL, reason, failure)


class _Peeked:
    """A source whose first bytes have been looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.head = b""
        while len(self.head) < HEAD and (more := self._source.read(HEAD - len(self.head))):
            self.head += _as_bytes(more)
        self._rest = self.head

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, as a file does."""
        if self._rest:
            taken = len(self._rest) if size < 0 else size
            data, self._rest = self._rest[:taken], self._rest[taken:]
            return data + self.read() if size < 0 else data
        return self._source.read(size)

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of `view`; 0 is the end."""
        if not self._rest and hasattr(self._source, "readinto"):
            return int(self._source.readinto(view) or 0)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


def _as_bytes(data: Any) -> bytes:
    if isinstance(data, str):
        raise TypeError("an open file to be counted must be binary: open it with mode 'rb'")
    return bytes(data)


def _opened(place: Place) -> AbstractContextManager[Source]:
    if isinstance(place.source, bytes | bytearray | memoryview):
        return closing(io.BytesIO(place.source))
    if place.source is not None:
        return _Borrowed(place.source)
    if place.is_pipe:
        return closing(_Pipe(open_regular(place.path)))
    opened: AbstractContextManager[Source] = fsspec().open(place.path, "rb").open()
    return opened


class _Borrowed:
    """An open file of the caller's, who closes it."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __enter__(self) -> Source:
        return self._source

    def __exit__(self, *_: object) -> None:
        """Leave it open."""


class _Pipe:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int = -1) -> bytes:
        return self._wait(lambda: os.read(self._descriptor, size if size >= 0 else 1 << 20))

    def readinto(self, view: memoryview) -> int:
        return self._wait(lambda: os.readv(self._descriptor, [view]))

    def close(self) -> None:
        os.close(self._descriptor)

    def _wait(self, read: Callable[[], _Read]) -> _Read:
        while True:
            try:
                return read()
            except BlockingIOError:  # a writer is there and has written nothing yet
                self._poll.poll()
