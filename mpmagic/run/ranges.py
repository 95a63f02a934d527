"""The iterable of a loop as stretches of a file: an open file, or `Lines`.

What workers get are offsets; the kernel reads nothing but the places where it cuts.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from mpmagic.count.regular import open_regular
from mpmagic.count.wholelines import last_line_end, line_start
from mpmagic.run.filerange import FileRange, Reading, Returns, finds_lines

__all__ = ["FileRanges", "ranges_of"]

_SMALLEST: Final = 1 << 20
_FIRST_LINE: Final = 64 << 10
_TYPICAL_LINE: Final = 80


class FileRanges:
    """The lines of a file that are left, to be cut into stretches.

    Parameters
    ----------
    iterable
        The open file, or the `Lines`.
    whole
        All that may be cut.
    """

    def __init__(self, iterable: Any, whole: FileRange) -> None:
        self._iterable = iterable
        self._whole = whole
        self._descriptor = -1
        self._next = self._done = whole.start
        self._lines = 0

    def open(self, first: Any) -> bool:
        """Open the file if it's large and its first line tells how it is read; whether it's so."""
        if self._whole.stop - self._whole.start < _SMALLEST:
            return False
        try:
            self._descriptor = open_regular(self._whole.path)
            seen = os.fstat(self._descriptor)
            if (seen.st_dev, seen.st_ino) != self._whole.identity:
                return False
            # What follows the last newline may be the half of a line that is being written.
            stop = last_line_end(self._descriptor, min(self._whole.stop, seen.st_size))
            self._whole = replace(self._whole, stop=stop)
            return self._settle(first)
        except OSError:
            return False

    def close(self) -> None:
        """Close the file that `open` has opened."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _settle(self, first: Any) -> bool:
        whole = self._whole
        raw = os.pread(self._descriptor, _FIRST_LINE, whole.start)
        raw = raw[: raw.find(b"\n") + 1]
        for returns in (whole.reading.returns, Returns.END_LINES):
            reading = replace(whole.reading, returns=returns)
            try:
                if raw and list(reading.lines(raw)) == [first]:
                    self._whole = replace(whole, reading=reading)
                    return True
            except ValueError:
                continue
        return False

    @property
    def left(self) -> int:
        """How many bytes haven't been cut off yet."""
        return self._whole.stop - self._next

    @property
    def share(self) -> float:
        """How much has been gone through, from 0 to 1."""
        whole = self._whole
        return (self._done - whole.start) / max(1, whole.stop - whole.start)

    def cut(self, size: int) -> FileRange | None:
        """The next stretch, of `size` bytes and the rest of its last line; None at the end."""
        start, end = self._next, self._whole.stop
        if start >= end:
            return None
        self._next = line_start(self._descriptor, min(start + size, end), end)
        return replace(self._whole, start=start, stop=self._next)

    def lines(self, count: int) -> tuple[list[Any], FileRange | None]:
        """Read a stretch of about so many lines; None if it can't be done or nothing is left."""
        seen = self._done - self._whole.start
        each = seen / self._lines if self._lines else _TYPICAL_LINE
        part = self.cut(max(1, int(count * each)))
        if part is None:
            return [], None
        try:
            items = list(part.read()[0])
        except (OSError, ValueError):
            return [], None
        self.done(part, len(items))
        return items, part

    def done(self, part: FileRange, lines: int) -> None:
        """Note that a stretch has been gone through."""
        self._done = part.stop
        self._lines += lines

    def leave(self) -> None:
        """Leave an open file where the lines that were gone through end."""
        if hasattr(self._iterable, "seek"):
            self._iterable.seek(self._done)

    def leave_after(self, lines: int) -> None:
        """Leave an open file where it is when so many lines have been taken from it."""
        if hasattr(self._iterable, "seek") and not self._iterable.closed:
            self._iterable.seek(self._whole.start)
            next(islice(self._iterable, lines - 1, None), None) if lines else None

    def rest(self) -> Iterator[Any]:
        """Iterate as the loop would have over the lines that haven't been gone through."""
        if not hasattr(self._iterable, "seek"):
            return iter(self._iterable[self._lines :])
        if self._done == self._whole.stop or self._whole.reading.encoding is None:
            self.leave()
        else:
            # From the beginning: at which line text that can't be decoded raises depends on the
            # blocks in which the file is read.
            self.leave_after(self._lines)
        return iter(self._iterable)


def ranges_of(iterable: Any) -> FileRanges | None:
    """The stretches behind an iterable, if it's a file of which no line was taken yet."""
    try:
        whole = _range_of(iterable)
    except (OSError, ValueError, LookupError):
        return None  # closed, or no file of the system's: the loop itself will find out
    return None if whole is None else FileRanges(iterable, whole)


def _range_of(iterable: Any) -> FileRange | None:
    if type(iterable) is io.TextIOWrapper:
        file, reading = iterable.buffer, Reading(iterable.encoding, iterable.errors or "strict")
    elif type(iterable) is io.BufferedReader:
        file, reading = iterable, Reading()
    else:
        return _range_of_lines(iterable)
    if type(file) is not io.BufferedReader or type(file.raw) is not io.FileIO:
        return None
    seen, name = os.fstat(file.fileno()), file.name
    if not stat.S_ISREG(seen.st_mode) or not isinstance(name, str | bytes):
        return None
    # `tell` raises if a line has been taken already.
    path, start = os.path.abspath(os.fsdecode(name)), iterable.tell()  # noqa: PTH100
    return _checked(FileRange(path, (seen.st_dev, seen.st_ino), start, seen.st_size, reading))


def _range_of_lines(iterable: Any) -> FileRange | None:
    module = sys.modules.get("mpmagic.count.lines")
    if module is None or type(iterable) is not module.Lines:
        return None
    span = iterable.span()
    if span is None:
        return None
    reading = Reading(iterable.encoding, iterable.errors, Returns.BEFORE_NEWLINE)
    seen, path = os.stat(iterable.path), os.path.abspath(iterable.path)  # noqa: PTH100, PTH116
    return _checked(FileRange(path, (seen.st_dev, seen.st_ino), span[0], span[1], reading))


def _checked(whole: FileRange) -> FileRange | None:
    return whole if finds_lines(whole.reading.encoding) else None
