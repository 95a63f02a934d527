"""Reading bytes block by block from wherever they come, and counting the newlines there.

`scan` is the one plain function that counts; which thread calls it for which stretch is the
business of `engine`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mpmagic.count.newlines import BLOCK, Block, NativeBlock, Stretch, read_into
from mpmagic.count.tally import Tally

__all__ = ["Reader", "Span", "SpanReader", "Watch", "scan"]

Span = tuple[int, int]
_NEWLINE = 10
# Measured: as fast from 128 to 256 KiB, which fit into a core's own cache; a tenth slower at 1 MiB.
_STEP = 256 << 10
# What is read without a look at whether to go on; a hundredth of a second or less.
_STRETCH = 32 << 20


class Watch:
    """What the caller and the one who counts tell each other: how far, and whether to stop."""

    __slots__ = ("cancelled", "done")

    def __init__(self) -> None:
        self.cancelled = False
        self.done = 0

    def advance(self, size: int) -> None:
        """Report that `size` more bytes of a file have been read."""
        self.done += size


class Reader(Protocol):
    """Where bytes come from, in order."""

    def readinto(self, view: memoryview, /) -> int:
        """Fill the beginning of `view`; 0 is the end."""
        ...


class SpanReader:
    """The bytes between two offsets of an open file, or up to its end.

    Parameters
    ----------
    descriptor : int
        The file.
    span : tuple of two int
        The offsets.
    watch : Watch
        Is told what has been read, and ends the span early when the count is cancelled.
    """

    __slots__ = ("_descriptor", "_stop", "_watch", "offset")

    def __init__(self, descriptor: int, span: Span, watch: Watch) -> None:
        self._descriptor = descriptor
        self.offset, self._stop = span
        self._watch = watch

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of `view`; 0 is the end."""
        left = self._stop - self.offset
        if left <= 0 or self._watch.cancelled:
            return 0
        filled = read_into(view[:left], self._descriptor, self.offset)
        self.offset += filled
        self._watch.advance(filled)
        return filled

    def stretch(self, block: NativeBlock) -> Stretch | None:
        """Count the newlines of what follows; None at the end, and where it's too little."""
        left = min(self._stop - self.offset, _STRETCH)
        if left < BLOCK or self._watch.cancelled:
            return None
        span = self.offset, self.offset + left
        found = block.newlines_in_file(self._descriptor, span, _STEP)
        self.offset += found.size
        self._watch.advance(found.size)
        return found if found.size else None

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, as a file does."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        room = bytearray(size)
        return bytes(room[: self.readinto(memoryview(room))])


def scan(reader: Reader, block: Block, tally: Tally) -> None:
    """Add to `tally` what `reader` gives, up to its end.

    Raises
    ------
    OSError
        If it can't be read. The tally holds what was counted before.
    """
    if isinstance(reader, SpanReader) and isinstance(block, NativeBlock):
        while (found := reader.stretch(block)) is not None:
            tally.open_end = found.last != _NEWLINE
            tally.newlines += sum(found.newlines)
            tally.size += found.size
    for filled in _blocks(reader, block.view):  # what is left, or says why it can't be read
        tally.open_end = block.view[filled - 1] != _NEWLINE
        tally.newlines += block.newlines(filled)
        tally.size += filled


def _blocks(reader: Reader, view: memoryview) -> Iterator[int]:
    while filled := reader.readinto(view):
        yield filled
