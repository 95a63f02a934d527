"""How many iterations go into a chunk.

The first chunks hold one iteration, or some if it is known what they took the last time; later
ones aim at a fixed time of work, which makes the cost of sending them small, and shrink towards the
end of the loop so that workers finish together.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Chunking"]

TARGET_SECONDS: Final = 0.1
_LEAST_SECONDS: Final = 5e-3
"""What a chunk at the end still holds: each costs a worker one millisecond that is busy itself."""

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

    def next_size(self, remaining: int | None) -> int:
        """The size of the next chunk, when `remaining` iterations are left (None: unknown)."""
        if self._fixed is not None:
            return self._fixed
        size = self._size
        if remaining is not None:
            # Two more rounds at least, so that a slow chunk at the end doesn't leave others idle.
            size = min(size, -(-remaining // (2 * self._workers)))
            size = max(size, min(self._least(), -(-remaining // self._workers)))
        return max(size, 1)

    def _least(self) -> int:
        """Iterations that are worth a chunk at the end of the loop."""
        return int(_LEAST_SECONDS / self._seconds_each) if self._seconds_each else 1

    def expect(self, seconds: float) -> None:
        """Begin with chunks that suit what an iteration took the last time."""
        self._seconds_each = seconds
        self._size = int(max(1, min(self._target / max(seconds, 1e-9), _GROWTH)))

    def learn(self, iterations: int, seconds: float) -> None:
        """Take into account what a chunk took."""
        if not iterations:
            return
        each = seconds / iterations
        known = self._seconds_each
        self._seconds_each = each if known is None else 0.5 * known + 0.5 * each
        wanted = self._target / max(self._seconds_each, 1e-9)
        self._size = int(max(1, min(wanted, self._size * _GROWTH, _LARGEST)))
