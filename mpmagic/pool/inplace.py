"""A large result that stays in the worker's memory until the kernel has copied it from there.

To write it into shared memory and map that, or copy it out again, takes two to three times as long
from 2 MB on: the system makes a segment's pages one by one, and ordinary memory's 2 MB at a time.
Below, nothing is gained.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from mpmagic.pool.message import Distant, Inline, Pack, Part, Seal
from mpmagic.pool.parts import address_of

if TYPE_CHECKING:
    from mpmagic.pool.pickling import Pickled

__all__ = ["Left", "leave"]

_SMALLEST_RESULT = 1 << 21
_SMALLEST_PART = 1 << 12
_SEAL_BYTES = 16


class Left:
    """A result in place; its memory stays as it is for as long as this object lives.

    Attributes
    ----------
    pickled : Pickled
        Owns the memory.
    pack : Pack
        Says where it is.
    seal : Seal
        Lies in the same process's memory, and in no other's.
    """

    __slots__ = ("pack", "pickled", "seal")

    def __init__(self, pickled: Pickled) -> None:
        self.pickled = pickled
        self.pack = Pack(tuple(_part(view) for view in (pickled.stream, *pickled.buffers)))
        nonce = os.urandom(_SEAL_BYTES)
        self.seal = Seal(address_of(memoryview(nonce)), nonce)


def leave(pickled: Pickled) -> Left | None:
    """Leave a result in place, if it's so large that this pays and the kernel might read it."""
    size = sum(view.nbytes for view in (pickled.stream, *pickled.buffers))
    # numpy says where a buffer is. Where nobody has imported it, there are hardly large ones.
    if size < _SMALLEST_RESULT or sys.platform != "linux" or "numpy" not in sys.modules:
        return None
    return Left(pickled)


def _part(view: memoryview) -> Part:
    if view.nbytes < _SMALLEST_PART:
        return Inline(bytes(view), view.readonly)
    return Distant(address_of(view), view.nbytes, view.readonly)
