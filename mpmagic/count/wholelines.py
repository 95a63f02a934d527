"""Blocks that begin and end with a line, for whatever looks at lines as a whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from mpmagic.count.newlines import BLOCK, read_into
from mpmagic.count.scan import Reader, Span

__all__ = ["UniversalReader", "aligned", "last_line_end", "line_start", "whole_lines"]


_TAIL = 64 << 10
_LONGEST = 512 << 20


def whole_lines(reader: Reader, room: int = BLOCK) -> Iterator[memoryview]:
    """Give the bytes of `reader` in blocks of whole lines; the last may lack its newline.

    A block is valid until the next one is asked for. A line longer than `room` makes the
    buffer grow: it has to be in memory as a whole.

    Raises
    ------
    OSError
        If a line is too long for that, as the hole of a sparse file is.
    """
    buffer, kept = bytearray(room), 0
    while filled := reader.readinto(memoryview(buffer)[kept:]):
        filled += kept
        end = buffer.rfind(b"\n", kept, filled) + 1
        if end:
            yield memoryview(buffer)[:end]
            kept = filled - end
            buffer[:kept] = buffer[end:filled]
        else:
            kept = filled
        if kept == len(buffer):
            if kept >= _LONGEST:
                message = f"a line of more than {_LONGEST:,} bytes, which can't be looked into"
                raise OSError(errno.EFBIG, message)
            # A new one: the old one's views may still be held by the caller.
            buffer = buffer + bytearray(len(buffer))
    if kept:
        yield memoryview(buffer)[:kept]


def aligned(descriptor: int, span: Span, size: int) -> Span:
    """Move both ends of a span to where the next line begins.

    The spans of a file, each moved like this, still cover it without gap or overlap, and one
    in which no line begins is empty.
    """
    start, stop = span
    begin = line_start(descriptor, start, stop)
    if begin >= stop:
        return stop, stop
    return begin, line_start(descriptor, stop, size)


def line_start(descriptor: int, offset: int, limit: int) -> int:
    """Find the first beginning of a line from `offset` on, but search no further than `limit`."""
    if offset == 0 or offset >= limit:
        return min(offset, limit)
    offset -= 1  # a line begins right at `offset` if a newline stands before it
    room = bytearray(4096)
    while offset < limit and (filled := read_into(memoryview(room), descriptor, offset)):
        found = room.find(b"\n", 0, filled)
        if found >= 0:
            return min(offset + found + 1, limit)
        offset += filled
        room = room if len(room) == BLOCK else bytearray(BLOCK)
    return limit


def last_line_end(descriptor: int, size: int) -> int:
    """Find where the last line with a newline ends before `size`."""
    stop = size
    while stop > 0:
        start = max(0, stop - _TAIL)
        found = os.pread(descriptor, stop - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0


class UniversalReader:
    """Turns each carriage return, alone or before a newline, into a newline."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._held = False

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of `view`; 0 is the end."""
        while filled := self._reader.readinto(view[1:] if self._held else view):
            data = b"\r" * self._held + bytes(view[self._held : self._held + filled])
            # Whether a newline follows the last one is known only with the next bytes.
            self._held = data.endswith(b"\r") and len(view) > 1
            data = data[: len(data) - self._held]
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if data:
                view[: len(data)] = data
                return len(data)
        if self._held:
            self._held = False
            view[:1] = b"\n"
            return 1
        return 0
