"""In which order chunks are sent when it is known what their iterations took last time.

Commits keep their order; it is the work that is sent in another one, so that no long iteration is
left over when the workers have nothing else to do.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final, NamedTuple

from mpmagic.run.chunking import TARGET_SECONDS

__all__ = ["Schedule", "schedule"]

_GRAIN: Final = 0.04
"""The share of the whole makespan that a chunk of short iterations may take."""
_SHORTEST_SECONDS: Final = 0.005  # a chunk costs the kernel and its worker a tenth of that
_MOST: Final = 2000  # chunks, for whenever one is back all are looked at
_WORTH_IT: Final = 0.97
"""What the makespan has to come down to: else the order stays, and results come as they did."""
_LATE: Final = 1.01
"""How much later than it must the end may come, for the sake of results that come in turn."""


class Schedule(NamedTuple):
    """The chunks of a loop.

    Attributes
    ----------
    sizes
        How many iterations each has.
    order
        Their numbers in the order in which they are sent.
    """

    sizes: tuple[int, ...]
    order: tuple[int, ...]


def schedule(seconds: Sequence[float], workers: int) -> Schedule | None:
    """Find an order that ends earlier; None if the loop's own is about as good.

    Parameters
    ----------
    seconds
        What each iteration is expected to take.
    workers
        How many there are.

    Notes
    -----
    A chunk is sent in its turn for as long as the longest one that is left can still wait without
    the end coming later than it must. Where that goes wrong, the longest are sent first: R. L.
    Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17 (1969), shows that
    this ends within 4/3 of the optimum.
    """
    if workers < 2 or not seconds:
        return None
    total = sum(seconds)
    grain = min(TARGET_SECONDS, _GRAIN * max(total / workers, *seconds))
    sizes = _grouped(seconds, max(grain, _SHORTEST_SECONDS, total / _MOST))
    chunks, first = [], 0
    for size in sizes:
        chunks.append(sum(seconds[first : first + size]))
        first += size
    numbers = range(len(chunks))
    longest_first = sorted(numbers, key=chunks.__getitem__, reverse=True)
    best = _in_time(chunks, longest_first, workers)
    if makespan(chunks, best, workers) > _LATE * makespan(chunks, longest_first, workers):
        best = longest_first
    if makespan(chunks, best, workers) > _WORTH_IT * makespan(chunks, numbers, workers):
        return None
    return Schedule(tuple(sizes), tuple(best))


def _grouped(seconds: Sequence[float], grain: float) -> list[int]:
    """Sizes of chunks that take about a grain, or are one iteration that takes more."""
    sizes, size, taken = [], 0, 0.0
    for each in seconds:
        if size and taken + each > grain:
            sizes.append(size)
            size, taken = 0, 0.0
        size, taken = size + 1, taken + each
    return [*sizes, size]


def _in_time(chunks: Sequence[float], longest_first: Sequence[int], workers: int) -> list[int]:
    """The order in which nothing is sent before its turn as long as the longest can wait."""
    latest = _LATE * max(sum(chunks) / workers, max(chunks))
    free, order, sent = [0.0] * workers, list[int](), set[int]()
    turns, urgent = iter(range(len(chunks))), iter(longest_first)
    turn, longest = next(turns), next(urgent)
    while len(order) < len(chunks):
        now = heapq.heappop(free)
        next_free = min(now + chunks[turn], free[0])
        chosen = turn if next_free + chunks[longest] <= latest else longest
        heapq.heappush(free, now + chunks[chosen])
        order.append(chosen)
        sent.add(chosen)
        while turn in sent:
            turn = next(turns, -1)
        while longest in sent:
            longest = next(urgent, -1)
    return order


def makespan(chunks: Sequence[float], order: Sequence[int], workers: int) -> float:
    """When the last chunk ends, if each is begun in this order as soon as a worker is free."""
    free = [0.0] * workers
    for number in order:
        heapq.heappush(free, heapq.heappop(free) + chunks[number])
    return max(free)
