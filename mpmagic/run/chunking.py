"""How many iterations go into a chunk.

The first chunks hold one iteration, or some if it is known what they took the last time; later
ones aim at a fixed time of work, which makes the cost of sending them small, and shrink towards the
end of the loop so that workers finish together: faster where chunks take what was expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean
from typing import Final

__all__ = ["Chunking"]

TARGET_SECONDS: Final = 0.15
"""A chunk costs its worker and the kernel 2.5 ms where both are busy: of 0.1 s too much."""

_LEAST_SECONDS: Final = 5e-3
"""What a chunk at the end still holds: each costs a worker one millisecond, and the kernel another
where both are busy."""

_EVEN: Final = 0.15
"""How far chunks of even iterations may be off from what was expected, as a share of that."""
_ROUNDS: Final = 2.0
"""Chunks for each worker into which the rest is cut, so that a slow one leaves no other idle."""
_ROUNDS_IF_EVEN: Final = 1.25
"""With two workers a chunk may then take half as long again as it was expected to."""

_GROWTH: Final = 16
_LARGEST: Final = 100_000


class Chunking:
    """Decides the sizes of a loop's chunks.

    Parameters
    ----------
    workers
        How many run at the same time.
    fixed
        A size that the user wants; None to adapt.
    cost
        Seconds that the kernel spends on each chunk. With many workers chunks grow, so that the
        kernel has twice the time that it needs.
    """

    def __init__(self, workers: int, fixed: int | None = None, *, cost: float = 0.0) -> None:
        self._workers = max(workers, 1)
        self._target = max(TARGET_SECONDS, 2 * self._workers * cost)
        self._fixed = fixed
        self._size = 1
        self._seconds_each: float | None = None
        self._unevenness = 1.0  # a running mean

    def next_size(self, remaining: int | None) -> int:
        """The size of the next chunk, when `remaining` iterations are left (None: unknown)."""
        if self._fixed is not None:
            return self._fixed
        size = self._size
        if remaining is not None:
            rounds = _ROUNDS_IF_EVEN if self._unevenness < _EVEN else _ROUNDS
            size = min(size, ceil(remaining / (rounds * self._workers)))
            size = max(size, min(self._least(), remaining))
        return max(size, 1)

    def _least(self) -> int:
        """Iterations that are worth a chunk at the end of the loop."""
        return int(_LEAST_SECONDS / self._seconds_each) if self._seconds_each else 1

    def expect(self, laps: Sequence[float]) -> None:
        """Begin with chunks that suit what each iteration took the last time, in seconds."""
        seconds = max(fmean(laps), 1e-9)
        self._seconds_each = seconds
        self._unevenness = fmean(abs(lap / seconds - 1) for lap in laps)
        self._size = int(max(1, min(self._target / seconds, _GROWTH**2)))

    def learn(self, iterations: int, seconds: float) -> None:
        """Take into account what a chunk took."""
        if not iterations:
            return
        each = seconds / iterations
        if (known := self._seconds_each) is None:
            self._seconds_each = each
        else:
            self._seconds_each = 0.5 * known + 0.5 * each
            deviation = abs(each / max(known, 1e-9) - 1)
            self._unevenness = 0.5 * self._unevenness + 0.5 * deviation
        wanted = self._target / max(self._seconds_each, 1e-9)
        self._size = int(max(1, min(wanted, self._size * _GROWTH, _LARGEST)))
