"""Lines that hold one literal, found by the kernel in C.

It lets other threads run. Measured per core on an access log: 28 GB/s for a literal that is
nowhere, 10 for one in every fifth line, 5 for one in every second.
"""

from __future__ import annotations

import ctypes

from mpmagic.count.native import LineFinder, line_finder, memory_of
from mpmagic.count.rarity import rarest_first

__all__ = ["NativeLiteral", "native_literal"]


class _Structure(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("first", ctypes.c_size_t),
        ("second", ctypes.c_size_t),
    )


def native_literal(literal: bytes) -> NativeLiteral | None:
    """What finds a literal, which isn't empty and holds no newline; None without the kernel."""
    find = line_finder()
    return None if find is None else NativeLiteral(literal, find)


class NativeLiteral:
    """A literal, in the form in which the kernel takes it. Each thread has its own.

    Parameters
    ----------
    literal : bytes
        Isn't empty and holds no newline.
    find : LineFinder
        The kernel.
    """

    def __init__(self, literal: bytes, find: LineFinder) -> None:
        order = rarest_first(literal)
        self._wanted = _Structure(literal, len(literal), order[0], order[min(1, len(order) - 1)])
        self._find = find
        self._room = bytearray()

    def count(self, block: memoryview) -> int:
        """Count the lines of a block that hold the literal."""
        return self._find(memory_of(block), len(block), ctypes.byref(self._wanted), None, None)

    def lines(self, block: memoryview) -> memoryview:
        """The lines of a block that hold the literal, until the next call."""
        if len(self._room) < len(block):
            self._room = bytearray(len(block))
        written = ctypes.c_size_t(0)
        room, wanted = memory_of(memoryview(self._room)), ctypes.byref(self._wanted)
        self._find(memory_of(block), len(block), wanted, room, ctypes.byref(written))
        return memoryview(self._room)[: written.value]
