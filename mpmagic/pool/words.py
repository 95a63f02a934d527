"""A page of shared memory with a few numbers, one page for each worker.

Each number has one writer, is aligned, and is stored by one instruction, so that it needs no lock
and survives its writer's death.
"""

from __future__ import annotations

import mmap
from enum import IntEnum

from mpmagic.pool.segment import map_shared, new_file

__all__ = ["Word", "Words"]


class Word(IntEnum):
    """What is written where."""

    INTERRUPTED = 0  # by the kernel: the task that SIGINT is meant for
    BEGUN = 1  # by the worker: the last task that it began
    MARK = 2  # by the worker: what the task noted last, plus one; 0 is nothing
    STDOUT_READ = 3  # by the worker: bytes of descriptor 1 that have been reported
    STDERR_READ = 4  # the same of descriptor 2


class Words:
    """The page, mapped into this process.

    A mapping that keeps a descriptor of its own, as those of Python 3.11 and 3.12 do, would cost
    the kernel one more per worker; it is one of a handful.
    """

    def __init__(self, fd: int) -> None:
        self._map = map_shared(fd, mmap.PAGESIZE)
        self._numbers = memoryview(self._map).cast("Q")

    @staticmethod
    def new_page() -> int:
        """Make the file behind a page; give its descriptor."""
        return new_file(mmap.PAGESIZE)

    def __getitem__(self, word: Word) -> int:
        return int(self._numbers[word])

    def __setitem__(self, word: Word, number: int) -> None:
        self._numbers[word] = number

    def close(self) -> None:
        self._numbers.release()
        self._map.close()
