"""Whether a file in memory has grown, told without asking the system.

A worker wants to know that before each piece of text and each commit, some million times a
second. The file is mapped: in the page with its last byte, what is behind that byte reads as zero
until somebody appends.
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Final

__all__ = ["WINDOW_BYTES", "Lookout"]

WINDOW_BYTES: Final = 1 << 24


class Lookout:
    """Looks at the byte behind the end of a file: ``page[offset]``.

    It isn't zero where the file is longer than that, nor where that can't be told. A zero byte
    that was appended passes unseen: who has to know reads the file.

    Parameters
    ----------
    fd
        The file; nobody else may write to it yet.
    """

    def __init__(self, fd: int) -> None:
        end = os.lseek(fd, 0, os.SEEK_END)
        os.ftruncate(fd, WINDOW_BYTES)  # Python maps no more than there is
        self._window = mmap.mmap(fd, WINDOW_BYTES, prot=mmap.PROT_READ)
        os.ftruncate(fd, end)

    def look_behind(self, end: int) -> None:
        """Look there from now on."""
        # The page behind one that is full may not be there yet: touching it kills the process.
        if end % mmap.PAGESIZE == 0 or end >= WINDOW_BYTES:
            self.page: Any = b"?"
            self.offset = 0
        else:
            self.page, self.offset = self._window, end
