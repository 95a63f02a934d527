"""Where in a block a separator stands, as `stringzilla` finds it: at the speed of memory.

It has no call that gives all positions, but one that splits, and what that gives can be had in the
layout of Apache Arrow: the bytes of all parts, and the offsets between them.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Positions = NDArray[np.integer]
    Find = Callable[[memoryview, bytes], Positions]

__all__ = ["Parts", "split_positions"]


class Parts:
    """The parts of a block between separators.

    Parameters
    ----------
    block : memoryview
        The block.
    separator : bytes
        What stands between the parts; found from left to right, never overlapping.

    Attributes
    ----------
    bounds : numpy.ndarray of int, shape (parts + 1,)
        Where in `joined` each part begins, and the last one ends. Valid as long as this object is.
    joined : numpy.ndarray of numpy.uint8, shape (bounds[-1],)
        The bytes of all parts, one after the other. The same holds for it.
    """

    def __init__(self, block: memoryview, separator: bytes) -> None:
        import numpy as np

        self._strings: Any = import_module("stringzilla").Str(block).split(separator)
        if len(block) == (len(self._strings) - 1) * len(separator):
            # All parts are empty. Asked for their addresses, version 5.3 reads from none.
            self.bounds = np.zeros(len(self._strings) + 1, np.uint32)
            self.joined = np.empty(0, np.uint8)
            return
        large = self._strings.offsets_are_large
        self.bounds = np.frombuffer(self._memory("offsets"), np.uint64 if large else np.uint32)
        self.joined = np.frombuffer(self._memory("tape"), np.uint8)

    def _memory(self, name: str) -> Any:
        address = getattr(self._strings, f"{name}_address")
        return (ctypes.c_char * getattr(self._strings, f"{name}_nbytes")).from_address(address)


@functools.cache
def split_positions() -> Find | None:
    """Give what finds a literal in a block; None if it isn't installed, or isn't as expected."""
    try:
        found = _positions(memoryview(b"-ab-ab--"), b"ab").tolist()
    except (ImportError, AttributeError):
        return None
    return _positions if found == [1, 4] else None


def _positions(block: memoryview, literal: bytes) -> Positions:
    import numpy as np

    parts = Parts(block, literal)
    before = parts.bounds[1:-1]
    positions: Positions = before + np.arange(len(before), dtype=before.dtype) * len(literal)
    return positions
