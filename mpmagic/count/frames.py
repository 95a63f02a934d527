"""Where a zstd or xz file can be cut so that its parts are decompressed at the same time.

zstd: between frames, whose blocks say how long they are (`pzstd`, files put behind each other). xz:
between streams and between the blocks that a stream's index lists (`xz -T`). A block is no file
by itself: it gets the head of its stream, and an index and a foot of its own.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mpmagic.count.formats import Format
from mpmagic.count.members import Source
from mpmagic.count.scan import Span

__all__ = ["Frame", "Framed", "frames_of"]

_ZSTD, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_RLE, _RESERVED = 1, 3


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of a compressed file.

    Attributes
    ----------
    span : tuple of two int
        Its offsets in the file.
    head : bytes
        What has to come before for it to be a file.
    records : tuple
        Of an xz stream's index: the sizes of its blocks.
    """

    span: Span
    head: bytes = b""
    records: tuple[tuple[int, int], ...] = ()

    @property
    def tail(self) -> bytes:
        """What has to come behind it."""
        return _xz_tail(self.head, self.records) if self.records else b""


def frames_of(descriptor: int, size: int, format_: Format, piece: int) -> list[Frame]:
    """Find parts of at least `piece` bytes; none if the file can't be cut, or is damaged."""
    finders = {Format.ZSTD: _zstd_frames, Format.XZ: _xz_frames}
    if format_ not in finders:
        return []
    try:
        found = list(_grouped(finders[format_](descriptor, size), piece))
    except (ValueError, IndexError, struct.error):
        return []  # damaged: who reads it from its beginning will say where
    return found if len(found) > 1 else []


def _grouped(frames: Iterable[Frame], piece: int) -> Iterator[Frame]:
    last: Frame | None = None
    for frame in frames:
        if last is None:
            last = frame
        elif last.span[1] - last.span[0] < piece and last.span[1] == frame.span[0]:
            whole = last.span[0], frame.span[1]
            last = replace(last, span=whole, records=last.records + frame.records)
        else:
            yield last
            last = frame
    if last is not None:
        yield last


def _zstd_frames(descriptor: int, size: int) -> Iterator[Frame]:
    start = 0
    while start < size:
        stop = _zstd_end(descriptor, start)
        if stop > size:
            raise ValueError("cut off")
        yield Frame((start, stop))
        start = stop


def _zstd_end(descriptor: int, start: int) -> int:
    magic, more, described = struct.unpack("<IIB", os.pread(descriptor, 9, start).ljust(9, b"\0"))
    if magic & ~0xF == _SKIPPABLE:
        return int(start + 8 + more)
    if magic != _ZSTD:
        raise ValueError("no frame")
    described = more & 0xFF
    single = described >> 5 & 1
    sizes = (single, 2, 4, 8)[described >> 6]
    at = start + 5 + (1 - single) + (0, 1, 2, 4)[described & 3] + sizes
    last = 0
    while not last:
        header = int.from_bytes(_exactly(descriptor, at, 3), "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        if kind == _RESERVED:
            raise ValueError("no block")
        at += 3 + (1 if kind == _RLE else length)
    return int(at + 4 * (described >> 2 & 1))


def _xz_frames(descriptor: int, size: int) -> Iterator[Frame]:
    streams = []
    while size:
        foot = _exactly(descriptor, size - 12, 12)
        if foot == b"\0" * 12 or foot[-4:] == b"\0" * 4:
            size -= 4  # padding between streams
            continue
        if foot[-2:] != b"YZ":
            raise ValueError("no foot of a stream")
        length = (struct.unpack_from("<I", foot, 4)[0] + 1) * 4
        records = _xz_records(_exactly(descriptor, size - 12 - length, length))
        stop = size - 12 - length
        start = stop - sum(_padded(unpadded) for unpadded, _ in records)
        size = start - 12
        streams.append((start, _exactly(descriptor, size, 12), records))
    for start, head, records in reversed(streams):
        for record in records:
            stop = start + _padded(record[0])
            yield Frame((start, stop), head, (record,))
            start = stop


def _xz_records(index: bytes) -> list[tuple[int, int]]:
    count, at = _number(index, 1)
    records = []
    for _ in range(count):
        unpadded, at = _number(index, at)
        plain, at = _number(index, at)
        records.append((unpadded, plain))
    return records


def _xz_tail(head: bytes, records: tuple[tuple[int, int], ...]) -> bytes:
    index = b"\0" + _written(len(records))
    index += b"".join(_written(number) for record in records for number in record)
    index += b"\0" * (-len(index) % 4)
    index += struct.pack("<I", zlib.crc32(index))
    foot = struct.pack("<I", len(index) // 4 - 1) + head[6:8]
    return index + struct.pack("<I", zlib.crc32(foot)) + foot + b"YZ"


def _padded(size: int) -> int:
    return size + -size % 4


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _written(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def _exactly(descriptor: int, offset: int, size: int) -> bytes:
    if offset < 0:
        raise ValueError("it begins too late")
    data = os.pread(descriptor, size, offset)
    if len(data) < size:
        raise ValueError("cut off")
    return data


class Framed:
    """The bytes of a part, as those of a file.

    Parameters
    ----------
    source : Source
        The bytes between its offsets.
    frame : Frame
        The part.
    """

    def __init__(self, source: Source, frame: Frame) -> None:
        self._source = source
        self._before, self._behind = frame.head, frame.tail

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes; none at the end."""
        data, self._before = self._before, b""
        if not data and not (data := self._source.read(size)):
            data, self._behind = self._behind, b""
        return data
