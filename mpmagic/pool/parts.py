"""The parts of a message's pack, as memory of this process."""

from __future__ import annotations

import mmap

from mpmagic.pool.message import Distant, Inline, Slice

__all__ = ["Room", "address_of", "inline", "view_of"]

Room = mmap.mmap | bytearray
"""Memory of this process for a buffer."""


def inline(part: Inline) -> bytes | bytearray:
    """Give a buffer that came with its message; one that may be stored into is a copy."""
    return part.data if part.readonly else bytearray(part.data)


def view_of(memory: Room | memoryview, part: Slice | Distant) -> memoryview:
    """Give the memory in which a buffer has arrived, as writable as it was sent."""
    view = memoryview(memory)
    return view.toreadonly() if part.readonly else view


def address_of(memory: Room | memoryview) -> int:
    """Say where memory is, writable or not."""
    import numpy as np

    return int(np.frombuffer(memory, np.uint8).__array_interface__["data"][0])
