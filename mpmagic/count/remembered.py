"""Files that were counted before: of one that has only grown, what is new is read.

That a file has only grown can't be proven without reading all of it. It is taken for granted where
the file is the same, not shorter, and holds the same as before in seventeen places, the last of
them being where it ended: what is rewritten with lines inserted has moved there.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import xxhash

from mpmagic.count.tally import Tally

__all__ = ["Remembered", "recall", "remember"]

_KEPT: Final = 4096
_PLACES: Final = 16
_MARK: Final = 4096
# A file that is written twice within a tick of the clock has one time of change for both.
_TICK: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a file held when it was counted.

    Attributes
    ----------
    size
        Bytes.
    tally
        Their line ends.
    modified
        When it was changed last, in nanoseconds; 0 if that was just before.
    marks
        A digest of what stood in some places.
    """

    size: int
    tally: Tally
    modified: int
    marks: bytes


_files: OrderedDict[tuple[int, int], Remembered] = OrderedDict()


def recall(descriptor: int) -> Remembered | None:
    """What is known of the beginning of an open file, or of all of it."""
    seen = os.fstat(descriptor)
    known = _files.get((seen.st_dev, seen.st_ino))
    if known is None or seen.st_size < known.size:
        return None
    if seen.st_size == known.size and seen.st_mtime_ns != known.modified:
        return None
    return known if _marks(descriptor, known.size) == known.marks else None


def remember(descriptor: int, size: int, total: Tally) -> None:
    """Keep what was counted of an open file's first `size` bytes."""
    seen = os.fstat(descriptor)
    settled = seen.st_size == size and time.time_ns() - seen.st_mtime_ns > _TICK
    tally = Tally(newlines=total.newlines, size=size, open_end=total.open_end)
    known = Remembered(size, tally, seen.st_mtime_ns if settled else 0, _marks(descriptor, size))
    _files[seen.st_dev, seen.st_ino] = known
    _files.move_to_end((seen.st_dev, seen.st_ino))
    while len(_files) > _KEPT:
        _files.popitem(last=False)


def _marks(descriptor: int, size: int) -> bytes:
    state = xxhash.xxh3_128()
    for place in range(_PLACES + 1):
        state.update(
            os.pread(descriptor, min(_MARK, size), max(0, size * place // _PLACES - _MARK))
        )
    return state.digest()
