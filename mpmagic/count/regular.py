"""Opening what was a regular file when it was looked at."""

from __future__ import annotations

import os

__all__ = ["open_regular"]


def open_regular(path: str) -> int:
    """Open a file for reading.

    Not blocking, since a named pipe may have taken the place of the file since it was looked at.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
