"""A stretch of a file as a loop's items: what a worker is sent instead of the lines."""

from __future__ import annotations

import codecs
import enum
import errno
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mpmagic.count.newlines import newlines_in
from mpmagic.count.regular import open_regular
from mpmagic.errors import FileChanged

__all__ = ["FileRange", "Reading", "Returns", "finds_lines"]

_NEWLINE_IS_A_BYTE: Final = frozenset(
    {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "koi8-r", "cp1251"}
)
_AHEAD: Final = 256 << 10
"""More than an open file decodes at once: it raises when it meets bytes that are no text, not when
it reaches their line."""


class Returns(enum.Enum):
    """What becomes of carriage returns."""

    UNKNOWN = "unknown"
    """The file shows none, so that it can't be told how it was opened."""
    END_LINES = "end lines"
    BEFORE_NEWLINE = "only those before a newline are dropped"


def finds_lines(encoding: str | None) -> bool:
    """Whether a line can be found in the bytes: a newline is one byte, and no other is."""
    return encoding is None or codecs.lookup(encoding).name in _NEWLINE_IS_A_BYTE


@dataclass(frozen=True, slots=True)
class Reading:
    """How bytes become lines.

    Attributes
    ----------
    encoding
        None for lines of bytes.
    errors
        What to do with bytes that are no text.
    returns
        What becomes of carriage returns.
    """

    encoding: str | None = None
    errors: str = "strict"
    returns: Returns = Returns.UNKNOWN

    def lines(self, data: bytes) -> Iterable[Any]:
        """The lines of a stretch that begins and ends with a line.

        Raises
        ------
        ValueError
            If it isn't known what they are.
        """
        if self.encoding is None:
            return io.BytesIO(data)
        newline: str | None = "\n"
        if b"\r" in data:
            if self.returns is Returns.UNKNOWN:
                raise ValueError("carriage returns")
            if self.returns is Returns.END_LINES:
                newline = None
            else:
                data = data.replace(b"\r\n", b"\n")
        return io.TextIOWrapper(io.BytesIO(data), self.encoding, self.errors, newline=newline)

    @property
    def can_fail(self) -> bool:
        """Whether some bytes are no text."""
        return self.encoding is not None and self.errors == "strict"

    def check(self, ahead: bytes) -> None:
        """Make sure that an open file that decodes this ahead of its lines doesn't raise there.

        Raises
        ------
        ValueError
            If it does.
        """
        if ahead and self.encoding is not None:
            codecs.getincrementaldecoder(self.encoding)(self.errors).decode(ahead)

    def count(self, data: bytes) -> int:
        """How many lines there are in such a stretch."""
        newlines = newlines_in(data)
        if self.encoding is None or self.returns is not Returns.END_LINES or b"\r" not in data:
            return newlines
        return newlines + data.count(b"\r") - data.count(b"\r\n")


@dataclass(frozen=True, slots=True)
class FileRange:
    """Lines of a file by their offsets.

    Attributes
    ----------
    path
        The file.
    identity
        Its device and inode.
    start, stop
        Where the first line begins, and where the last one ends.
    reading
        How the bytes become lines.
    """

    path: str
    identity: tuple[int, int]
    start: int
    stop: int
    reading: Reading

    def read(self) -> tuple[Iterable[Any], int]:
        """The lines, and how many they are.

        Raises
        ------
        FileChanged
            If the file isn't what it was.
        ValueError
            If the bytes are no text, or it isn't known what the lines are.
        """
        descriptor = open_regular(self.path)
        with open(descriptor, "rb", buffering=0) as file:
            seen = os.fstat(descriptor)
            if (seen.st_dev, seen.st_ino) != self.identity:
                raise FileChanged(errno.ESTALE, "replaced by another file", self.path)
            file.seek(self.start)
            data = _read(file, self.stop - self.start)
            ahead = _read(file, _AHEAD) if self.reading.can_fail else b""
        if len(data) < self.stop - self.start or not data.endswith(b"\n"):
            raise FileChanged(errno.ESTALE, "cut off or overwritten", self.path)
        self.reading.check(ahead)
        return self.reading.lines(data), self.reading.count(data)


def _read(file: io.FileIO, size: int) -> bytes:
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data
