"""The memory limit of a worker."""

from __future__ import annotations

import os
import resource
import sys

__all__ = ["MemoryLimit", "memory_used"]


class MemoryLimit:
    """Bounds what this process may allocate, so that too much is a MemoryError.

    `RLIMIT_DATA` counts private writable memory and nothing else: `RLIMIT_AS` would count address
    space that BLAS, Arrow or Java reserve and never touch. It also counts what is mapped
    copy-on-write, so the limit moves with the mappings that the pool itself makes.
    """

    def __init__(self) -> None:
        self._limit: int | None = None
        self._mapped = 0

    @property
    def is_set(self) -> bool:
        """Whether there is one."""
        return self._limit is not None

    def set(self, limit: int | None) -> None:
        """Set the limit, in bytes of the process's own memory; None is no limit."""
        self._limit = limit
        self._apply()

    def allow_more(self, size: int) -> None:
        """Move the limit by `size` bytes, before mapping or after unmapping them."""
        self._mapped += size
        self._apply()

    def explain(self, error: BaseException) -> None:
        """Add the limit and the peak to a MemoryError, once."""
        if any("memory_limit" in note for note in getattr(error, "__notes__", ())):
            return
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        if self._limit is not None:
            error.add_note(
                f"in worker process {os.getpid()}, whose memory_limit is {self._limit:,} bytes; "
                f"its memory was {peak:,} bytes at most. Raise memory_limit, or let one task "
                f"need less."
            )

    def _apply(self) -> None:
        if self._limit is None or sys.platform != "linux":
            return
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (self._limit + self._mapped, hard))


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def memory_used(pid: int) -> int:
    """Read how many bytes of memory a process has to itself; 0 if that can't be told."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # it is gone, or there is no /proc
        pass
    return 0
