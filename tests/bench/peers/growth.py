"""How what mpmagic costs grows: with iterations, workers, and captured bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import psutil

from tests.bench.peers.notebook import Notebook, notebook
from tests.bench.peers.peer import HELPERS
from tests.bench.peers.table import duration

ITERATIONS = (10**3, 10**4, 10**5, 10**6, 10**7)
WORKERS = (1, 2, 4, 8)
BYTES = (10**3, 10**5, 10**7, 10**8, 10**9, 2 * 10**9, 4 * 10**9, 8 * 10**9)
COPIES = 2.3
"""The memory that a captured array needs: its own, what workers map, and some for all else."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds against a size.

    Attributes
    ----------
    name
        What was measured.
    along
        What grows.
    points
        Sizes and seconds.
    per
        What one unit of the size is called, where the cost of one says something.
    """

    name: str
    along: str
    points: list[tuple[float, float]]
    per: str = ""


def curves(rounds: int, largest: float) -> list[Curve]:
    """All that is plotted.

    Parameters
    ----------
    rounds
        How often each is timed; three are enough.
    largest
        Bytes that are captured at most, if there is memory for them.
    """
    rounds = min(rounds, 3)
    with _warm() as opened:
        found = [
            Curve("%%parallel", "iterations", _along(opened, ITERATIONS, rounds), "iteration"),
            Curve("serial", "iterations", _along(opened, ITERATIONS, rounds, None), "iteration"),
            Curve("%%parallel", "workers", list(_workers(opened, rounds))),
        ]
    captured = list(_captured(rounds, largest))
    for index, name in enumerate(("first cell", "again", "one copy in memory")):
        points = [(size, seconds[index]) for size, seconds in captured]
        found.append(Curve(name, "captured bytes", points, "byte"))
    return found


def _along(
    opened: Notebook, sizes: Iterable[int], rounds: int, magic: str | None = ""
) -> list[tuple[float, float]]:
    return [(n, _median(opened, _appending(n), magic, rounds)) for n in sizes]


def _appending(iterations: int) -> str:
    return f"out = []\nfor i in range({iterations}):\n    out.append(i * i)"


def _workers(opened: Notebook, rounds: int) -> Iterable[tuple[float, float]]:
    """Sleeps, for there may be fewer cores than workers."""
    cell = "out = [wait_a_little(x) for x in range(400)]"
    for workers in WORKERS:
        opened.timed(cell, magic=f"-n {workers}")  # which starts those that are missing
        yield workers, _median(opened, cell, f"-n {workers}", rounds)


@contextmanager
def _warm() -> Iterator[Notebook]:
    """A notebook in which mpmagic has run a cell."""
    with notebook(600) as opened:
        opened.run(HELPERS + "import numpy as np\n%load_ext mpmagic")
        opened.run("%%parallel\nwarm = [wait_a_little(x) for x in range(20)]")
        yield opened


def _captured(rounds: int, largest: float) -> Iterable[tuple[float, tuple[float, ...]]]:
    """Seconds of the first cell, of the second, and of one copy in memory, by size.

    Each size in a notebook of its own: what was sent before is kept, and takes memory.
    """
    cell = "out = []\nfor i in range(8):\n    y = int(table[i::len(table) // 100 or 1].sum())\n"
    cell += "    out.append(y)"
    for size in BYTES:
        if size > largest or size * COPIES > psutil.virtual_memory().available:
            return
        found = []
        with _warm() as opened:
            for number in range(rounds if size < 10**9 else 1):
                opened.run(f"table = np.full({size // 8}, {number + 1})")
                copy = opened.timed("copied = table.copy()").seconds
                opened.run("del copied")
                times = [opened.timed(cell, magic="").seconds for _ in range(2)]
                found.append((*times, copy))
        yield size, tuple(median(column) for column in zip(*found, strict=True))


def _median(opened: Notebook, cell: str, magic: str | None, rounds: int) -> float:
    return median(opened.timed(cell, magic=magic).seconds for _ in range(rounds))


def growth_table(found: Iterable[Curve]) -> str:
    """Every point, and what a unit costs there."""
    lines = ["| | size | time | each |", "| --- | --- | --- | --- |"]
    for curve in found:
        for size, seconds in curve.points:
            each = f"{seconds / size * 1e9:,.2f} ns per {curve.per}" if curve.per else ""
            lines.append(
                f"| {curve.name} | {size:,.0f} {curve.along} | {duration(seconds)} | {each} |"
            )
    return "\n".join(lines) + "\n"
