"""Where the lines of a file are: how many newlines stand before each of its chunks."""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate

from mpmagic.count.newlines import BLOCK, NativeBlock, new_block, read_into
from mpmagic.count.regular import open_regular

__all__ = ["LineIndex", "index_of"]

CHUNK = 256 << 10
_TASK = 64 << 20
_MARK = 4096
_NEWLINE = 10
_KEPT = 32


@dataclass(frozen=True, slots=True)
class LineIndex:
    """The newlines of a file, chunk by chunk.

    Attributes
    ----------
    identity : tuple of two int
        Device and inode of the file.
    size : int
        Bytes that the index covers.
    modified : int
        When the file was last modified, in ns.
    before : list of int
        Newlines before each chunk, and in all.
    open_end : bool
        Whether the last line has no newline.
    mark : bytes
        The last bytes that the index covers: if they are still there, the file was only extended.
    """

    identity: tuple[int, int]
    size: int
    modified: int
    before: list[int] = field(repr=False)
    open_end: bool
    mark: bytes = field(repr=False)

    def __len__(self) -> int:
        return self.before[-1] + self.open_end

    def offset(self, descriptor: int, line: int) -> int:
        """Find where a line begins; for the number of lines, where the last one ends."""
        if line == 0:
            return 0
        if line > self.before[-1]:
            return self.size
        # The line begins behind the newline of this number, which is in this chunk.
        chunk = bisect_left(self.before, line) - 1
        data = os.pread(descriptor, CHUNK, chunk * CHUNK)
        at = -1
        for _ in range(line - self.before[chunk]):
            at = data.find(b"\n", at + 1)
            if at < 0:
                raise OSError(errno.ESTALE, "changed since its lines were counted")
        return chunk * CHUNK + at + 1


# By what a file is, so that it is counted once however often its lines are asked for.
_indices: OrderedDict[tuple[int, int], LineIndex] = OrderedDict()


def index_of(path: str) -> LineIndex:
    """Index a file, or take the index that was made of it before, extended if it has grown.

    Raises
    ------
    OSError
        If it can't be read.
    """
    descriptor = open_regular(path)
    try:
        seen = os.fstat(descriptor)
        identity = (seen.st_dev, seen.st_ino)
        known = _indices.get(identity)
        if known is None or not _still_holds(known, descriptor, seen):
            known = _count(descriptor, seen, _extendable(known, descriptor, seen))
        _indices[identity] = known
        _indices.move_to_end(identity)
        while len(_indices) > _KEPT:
            _indices.popitem(last=False)
        return known
    finally:
        os.close(descriptor)


def _still_holds(known: LineIndex, descriptor: int, seen: os.stat_result) -> bool:
    return known.size == seen.st_size and known.modified == seen.st_mtime_ns


def _extendable(known: LineIndex | None, descriptor: int, seen: os.stat_result) -> LineIndex | None:
    if known is None or seen.st_size <= known.size:
        return None
    mark = os.pread(descriptor, len(known.mark), known.size - len(known.mark))
    return known if mark == known.mark else None


def _count(descriptor: int, seen: os.stat_result, known: LineIndex | None) -> LineIndex:
    size = seen.st_size
    whole = known.size // CHUNK if known is not None else 0
    starts = range(whole * CHUNK, size, _TASK)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1, max(1, len(starts)))) as threads:
        parts = threads.map(
            lambda start: _chunks(descriptor, start, min(start + _TASK, size)), starts
        )
        counts = [number for part in parts for number in part]
    before = known.before[: whole + 1] if known is not None else [0]
    before = [*before[:-1], *accumulate(counts, initial=before[-1])]
    mark = os.pread(descriptor, _MARK, max(0, size - _MARK))
    return LineIndex(
        identity=(seen.st_dev, seen.st_ino),
        size=size,
        modified=seen.st_mtime_ns,
        before=before,
        open_end=bool(mark) and mark[-1] != _NEWLINE,
        mark=mark,
    )


def _chunks(descriptor: int, start: int, stop: int) -> list[int]:
    block = new_block(min(stop - start, BLOCK))
    if isinstance(block, NativeBlock):
        return block.newlines_in_file(descriptor, (start, stop), CHUNK).newlines
    found = []
    for offset in range(start, stop, CHUNK):
        room = block.view[: min(CHUNK, stop - offset)]
        filled = read_into(room, descriptor, offset)
        found.append(block.newlines(filled))
    return found
