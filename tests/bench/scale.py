"""How far a loop scales: `python -m tests.bench.scale` simulates it with measured constants.

One server, the notebook's kernel, sends chunks, takes their logs in order of arrival and commits
them in the loop's order. Its time is what `tests/bench/engines.py` measures per chunk and per
iteration. Workers take the time of their iterations and that of a chunk's way. The chunks have the
sizes that mpmagic's own `Chunking` gives them, and as many are under way as in `Dispatch`.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from mpmagic.run.chunking import Chunking

WORKERS = (10, 100, 1000)
ITERATIONS = {0.001: 2_000_000, 0.1: 200_000, 10.0: 5_000}
COMMIT = 0.0000002
"""Seconds of a commit such as `out.append(y)`; what a cell's own commits take comes on top."""


class Engine(NamedTuple):
    """An engine's constants, in seconds."""

    name: str
    per_iteration: float
    per_chunk: float
    way: float


PROCESSES = Engine("processes", 0.8e-6, 0.27e-3, 0.3e-3)
DASK = Engine("Dask", 0.9e-6, 1.2e-3, 3.0e-3)


class Outcome(NamedTuple):
    """What became of a loop."""

    wall: float
    busy: float
    chunk: int

    def efficiency(self, iterations: int, each: float, workers: int) -> float:
        """The share of the workers' time that was the loop's work."""
        return iterations * each / (self.wall * workers)


def simulate(engine: Engine, workers: int, iterations: int, each: float) -> Outcome:
    """Run a loop of equal iterations; time stands still but for events.

    Parameters
    ----------
    engine
        Its constants.
    workers
        How many.
    iterations, each
        The loop, and the seconds of one.
    """
    chunking = Chunking(workers, cost=engine.per_chunk)
    limit, left, largest = workers + 1 + workers // 2, iterations, 0
    now = busy = 0.0
    free = [0.0] * workers
    arriving: list[tuple[float, int]] = []
    while left or arriving:
        while left and len(arriving) < limit:
            size = min(chunking.next_size(left), left)
            left, largest = left - size, max(largest, size)
            now, busy = now + engine.per_chunk / 2, busy + engine.per_chunk / 2
            begin = max(heapq.heappop(free), now + engine.way / 2)
            heapq.heappush(free, begin + size * each)
            heapq.heappush(arriving, (begin + size * each + engine.way / 2, size))
        arrival, size = heapq.heappop(arriving)
        spent = engine.per_chunk / 2 + size * (engine.per_iteration + COMMIT)
        now, busy = max(now, arrival) + spent, busy + spent
        chunking.learn(size, size * each)
    return Outcome(now, busy, largest)


def table(engine: Engine) -> None:
    """Print how much faster than one worker each loop becomes, and how busy the kernel is."""
    print(f"\n{engine.name}")
    for each, iterations in ITERATIONS.items():
        cells = []
        for workers in WORKERS:
            made = simulate(engine, workers, iterations, each)
            share = made.efficiency(iterations, each, workers)
            cells.append(f"{share * workers:5.0f} times, kernel {made.busy / made.wall:4.0%}")
        print(f"| {each:g} s | " + " | ".join(cells) + " |")


def main() -> None:
    for engine in (PROCESSES, DASK):
        table(engine)


if __name__ == "__main__":
    main()
