"""How many iterations go into a chunk.

The first chunks hold one iteration, or some if it is known what they took the last time; later
ones aim at a fixed time of work, which makes the cost of sending them small, and shrink towards the
end of the loop so that workers finish together: faster where chunks take what was expected.

A loop whose iterations were even the last time, and are as long as then, is dealt out in batches of
equal chunks, one for each worker, of which each batch but the last ones holds nearly all that is
left: what is called factoring (Hummel, Schonberg and Flynn, 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean
from typing import Final

__all__ = ["STEADY_SECONDS", "TARGET_SECONDS", "Chunking"]

TARGET_SECONDS: Final = 0.15
"""A chunk costs its worker and the kernel 2.5 ms where both are busy: of 0.1 s too much."""

STEADY_SECONDS: Final = 0.25
"""Of steady loops, which need no chunk to learn from: half a second on two processors in ten
chunks instead of fourteen, each of which takes 2 ms of one."""

_LEAST: Final = 5e-3
"""What a chunk at the end still holds: each costs a worker one millisecond, and the kernel another
where both are busy."""
_LEAST_IF_STEADY: Final = 2e-3
"""There is one for each worker, which would wait for the others if there was none."""

_EVEN: Final = 0.15
"""How far chunks of even iterations may be off from what was expected, as a share of that."""
_STEADY: Final = 0.05
"""The same, for each chunk of a steady loop."""

_ROUNDS: Final = 2.0
"""Chunks for each worker into which the rest is cut, so that a slow one leaves no other idle."""
_ROUNDS_IF_EVEN: Final = 1.25
"""With two workers a chunk may then take half as long again as it was expected to."""
_ROUNDS_IF_STEADY: Final = 1.1
"""A batch leaves a tenth of what it finds, by which later ones make up for a late worker."""

_GROWTH: Final = 16
_LARGEST: Final = 100_000


class _Batches:
    """Deals out equal chunks, one for each worker, and smaller ones when all have had theirs."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._missing = self._size = 0

    def next_size(self, remaining: int, *, least: int, most: int) -> int:
        if not self._missing:
            self._missing = self._workers
            self._size = max(1, min(most, self._share(remaining, least)))
        self._missing -= 1
        return max(1, min(self._size, remaining))

    def _share(self, remaining: int, least: int) -> int:
        share = int(remaining / (_ROUNDS_IF_STEADY * self._workers))
        left = remaining - share * self._workers
        return ceil(remaining / self._workers) if left < least * self._workers else share


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
        self._cost = cost
        self._fixed = fixed
        self._size = 1
        self._seconds_each: float | None = None
        self._unevenness = 1.0  # a running mean
        self._batches: _Batches | None = None  # as long as the loop is steady

    def next_size(self, remaining: int | None) -> int:
        """The size of the next chunk, when `remaining` iterations are left (None: unknown)."""
        if self._fixed is not None:
            return self._fixed
        if remaining is None:
            return self._size
        if self._batches is not None:
            return self._batches.next_size(
                remaining, least=self._worth(_LEAST_IF_STEADY), most=self._size
            )
        rounds = _ROUNDS_IF_EVEN if self._unevenness < _EVEN else _ROUNDS
        share = ceil(remaining / (rounds * self._workers))
        return max(1, min(self._size, share), min(self._worth(_LEAST), remaining))

    def _worth(self, seconds: float) -> int:
        """Iterations that take so long."""
        return int(seconds / self._seconds_each) if self._seconds_each else 1

    @property
    def _target(self) -> float:
        """Seconds of work that a chunk is to have."""
        wanted = TARGET_SECONDS if self._batches is None else STEADY_SECONDS
        return max(wanted, 2 * self._workers * self._cost)

    def expect(self, laps: Sequence[float]) -> None:
        """Begin with chunks that suit what each iteration took the last time, in seconds."""
        seconds = max(fmean(laps), 1e-9)
        self._seconds_each = seconds
        self._unevenness = fmean(abs(lap / seconds - 1) for lap in laps)
        if self._unevenness < _EVEN:
            self._batches = _Batches(self._workers)
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
            if deviation > _STEADY:
                self._batches = None
        wanted = self._target / max(self._seconds_each, 1e-9)
        self._size = int(max(1, min(wanted, self._size * _GROWTH, _LARGEST)))
