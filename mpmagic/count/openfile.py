"""An open file whose stretches are counted apart, and the sum in the end."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator

from mpmagic.count.formats import HEAD, Format, format_of
from mpmagic.count.frames import Frame, frames_of
from mpmagic.count.places import Place, explain
from mpmagic.count.record import FileCount, Status, record_of
from mpmagic.count.regular import open_regular
from mpmagic.count.remembered import Remembered, recall, remember
from mpmagic.count.scan import Span
from mpmagic.count.tally import Tally

__all__ = ["OpenFile"]


class OpenFile:
    """A file of which several threads count different spans at once.

    The descriptor is opened once, so that all spans are of the same file even if another one
    is put in its place, and closed by whoever finishes last.

    Parameters
    ----------
    place : Place
        The file.
    piece : int
        The size of the spans in bytes.
    holes : bool
        Whether holes may be left out, since nothing but line ends is counted.

    Raises
    ------
    OSError
        If the file can't be opened.
    """

    def __init__(self, place: Place, piece: int, *, holes: bool = True) -> None:
        self.place = place
        self.descriptor = open_regular(place.path)
        try:
            seen = os.fstat(self.descriptor)
            self.size, self.identity = seen.st_size, (seen.st_dev, seen.st_ino)
            self.format = format_of(os.pread(self.descriptor, HEAD, 0))
            self.spans = list(_pieces(self.descriptor, self.size, piece, holes))
        except BaseException:
            os.close(self.descriptor)
            raise
        self.frames: dict[Span, Frame] = {}
        self._remembers = False
        self._known: Remembered | None = None
        self._left = len(self.spans)
        self._tallies: dict[Span, Tally] = {}
        self._error: OSError | None = None
        self._lock = threading.Lock()

    @property
    def plain(self) -> bool:
        """Whether the lines are there as they are, to be counted anywhere in the file."""
        return self.format is Format.PLAIN

    def use_memory(self) -> None:
        """Leave out what was counted before, and remember this count: of line ends only."""
        self._remembers = True
        self._known = recall(self.descriptor)
        if self._known is not None:
            seen = self._known.size
            self.spans = [(max(start, seen), stop) for start, stop in self.spans if stop > seen]
            self._left = len(self.spans)

    def cut_frames(self, piece: int) -> None:
        """Cut a compressed file into parts that can be decompressed apart, if it has such."""
        found = frames_of(self.descriptor, self.size, self.format, piece)
        self.frames = {frame.span: frame for frame in found}
        self.spans = list(self.frames)
        self._left = len(self.spans)

    def finish(self, span: Span, tally: Tally, error: OSError | None = None) -> FileCount | None:
        """Take the sum of a span; give the record of the file if that was the last one."""
        with self._lock:
            self._tallies[span] = tally
            self._error = self._error or error
            self._left -= 1
            if self._left:
                return None
        return self.close()

    def close(self) -> FileCount:
        """Close the file and sum up what has been counted of it."""
        now = os.fstat(self.descriptor).st_size
        total = self._total()
        read = total.size
        if self.frames:  # the sizes are those of what was decompressed
            read = sum(stop - start for start, stop in self._tallies)
            read = self.size if len(self._tallies) == len(self.spans) else read
        status, reason = self._judge(read, now)
        if self._remembers and status in (Status.COUNTED, Status.CHANGED):
            remember(self.descriptor, self.size, total)
        os.close(self.descriptor)
        return record_of(self.place.path, total, status, reason, self._error)

    def _total(self) -> Tally:
        total, seen = Tally(), 0
        if self._known is not None:
            total.join(self._known.tally)
            seen = self._known.size
        for span in sorted(self._tallies):
            total.join(self._tallies[span])
        if self.frames:
            return total
        total.size += self.size - seen - sum(stop - start for start, stop in self.spans)
        if self.size > max((stop for _, stop in self.spans), default=seen):
            total.open_end = True  # the file ends in a hole: zeros, no newline
        return total

    def _judge(self, size: int, now: int) -> tuple[Status, str]:
        if self._error is not None:
            return Status.PARTIAL, f"{explain(self._error)} after {size:,} of {self.size:,} bytes"
        if now < self.size:
            return Status.PARTIAL, f"shrank from {self.size:,} to {now:,} bytes while counted"
        if size < self.size:
            return Status.PARTIAL, f"stopped after {size:,} of {self.size:,} bytes"
        if now > self.size:
            return Status.CHANGED, f"grew while counted: the first {self.size:,} bytes"
        return Status.COUNTED, ""


def _pieces(descriptor: int, size: int, piece: int, holes: bool) -> Iterator[Span]:
    extents = _extents(descriptor, size) if holes else [(0, size)]
    for start, stop in extents:
        for offset in range(start, stop, piece):
            yield offset, min(offset + piece, stop)


def _extents(descriptor: int, size: int) -> Iterator[Span]:
    """Find the parts of a file that are not holes. A hole holds zeros, and may be huge."""
    if not _has_holes(descriptor, size):
        yield 0, size
        return
    stop = 0
    while stop < size:
        try:
            start = os.lseek(descriptor, stop, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            return
        try:
            stop = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        except OSError:  # cut meanwhile: what is missing is found by reading
            stop = size
        if start < stop:
            yield start, stop


def _has_holes(descriptor: int, size: int) -> bool:
    seen = os.fstat(descriptor)
    return hasattr(os, "SEEK_DATA") and stat.S_ISREG(seen.st_mode) and seen.st_blocks * 512 < size
