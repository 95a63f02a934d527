"""Lines that hold one of some literals, found by comparing bytes.

One literal is for the kernel in C, where it was compiled. Where several are, or without it,
`stringzilla` tells if it is installed: measured per core 28 GB/s for one that
every fifth line holds and 60 for one that is nowhere. Without it the two rarest bytes of a literal
are compared in passes over the block, some 2.5 and 10 GB/s; `bytes.find` does 2. The rest is
numpy's, which lets other threads run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpmagic.count.nativelines import NativeLiteral, native_literal
from mpmagic.count.rarity import rarest_first
from mpmagic.count.splitting import split_positions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Bits = NDArray[np.bool_]
    Positions = NDArray[np.integer]

__all__ = ["Literals"]

_PASSES = 2
_FEW = 64
_NEWLINE = 10


class Literals:
    """Some literals, of which a line has to hold at least one.

    Parameters
    ----------
    literals : tuple of bytes
        None is empty, none holds a newline.
    ignore_case : bool
        Whether the letters of ASCII stand for both their cases.
    """

    def __init__(self, literals: tuple[bytes, ...], *, ignore_case: bool = False) -> None:
        self._literals = literals
        self._ignore_case = ignore_case
        self._masks: tuple[Bits, ...] = ()
        self._found_by_split = None if ignore_case else split_positions()
        self._native: NativeLiteral | None = None
        if len(literals) == 1 and not ignore_case:
            self._native = native_literal(literals[0])

    def count(self, block: memoryview) -> int:
        """Count the lines of a block of whole lines that hold one of the literals."""
        if self._native is not None:
            return self._native.count(block)
        import numpy as np

        data = np.frombuffer(block, np.uint8)
        found = [self._positions(block, data, literal) for literal in self._literals]
        hits = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        if len(hits) <= _FEW:
            return _distinct_lines(block, hits.tolist())
        # From one hit up to the next: only the last one of its line has a newline there.
        ends = np.equal(data, _NEWLINE, out=self._mask(0, len(data)))
        return 1 + int(np.count_nonzero(np.logical_or.reduceat(ends, hits)[:-1]))

    def _positions(self, block: memoryview, data: Bytes, literal: bytes) -> Positions:
        if self._found_by_split is not None:
            return self._found_by_split(block, literal)
        return self._compared(data, literal)

    def _compared(self, data: Bytes, literal: bytes) -> Positions:
        import numpy as np

        room = max(0, len(data) - len(literal) + 1)
        order = rarest_first(literal)
        mask = self._equal(data[order[0] : order[0] + room], literal[order[0]], 0)
        for at in order[1:_PASSES]:
            if not mask.any():
                break
            np.logical_and(mask, self._equal(data[at : at + room], literal[at], 1), out=mask)
        if not np.count_nonzero(mask):  # ten times as fast as finding where
            return np.empty(0, np.intp)
        hits = np.flatnonzero(mask)
        for at in order[_PASSES:]:
            hits = hits[self._equal(data[hits + at], literal[at], 1)]
        return hits

    def _mask(self, number: int, size: int) -> Bits:
        """A part of one of two arrays that are kept: a new one for each block would be new pages
        from the system each time, at ten times the price of the comparison."""
        import numpy as np

        if not self._masks or len(self._masks[0]) < size:
            self._masks = (np.empty(size, np.bool_), np.empty(size, np.bool_))
        return self._masks[number][:size]

    def _equal(self, data: Bytes, byte: int, number: int) -> Bits:
        import numpy as np

        out = self._mask(number, len(data))
        letter = bytes([byte])
        if not self._ignore_case or letter.upper() == letter.lower():
            return np.equal(data, byte, out=out)
        # The cases of an ASCII letter differ by one bit, and nothing else becomes a letter by it.
        lower = np.bitwise_or(data, 0x20, out=out.view(np.uint8))
        return np.equal(lower, byte | 0x20, out=out)


def _distinct_lines(block: memoryview, hits: list[int]) -> int:
    text, found, end = bytes(block), 0, -1
    for hit in hits:
        if hit > end:
            found += 1
            end = text.find(b"\n", hit)
            if end < 0:
                break
    return found
