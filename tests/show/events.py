"""A made-up run: two workers, four chunks, times that are easy to add."""

from __future__ import annotations

from collections.abc import Iterable

from mpmagic.run.observer import Begun, Committed, Observer, Returned, Span, Timing, Unit
from mpmagic.run.sampling import Samples

START = 100.0


def begun(total: int | None = 40, *, line: int = 3, unit: Unit = Unit.ITERATION) -> Begun:
    return Begun(line, unit, total, START)


def returned(
    pid: int, first: int, times: tuple[float, float, float, float], samples: Samples | None = None
) -> Returned:
    """Ten iterations: `times` are those of reading, working, sending and having arrived."""
    entered, work, end, arrived = (START + t for t in times)
    timing = Timing(pid, entered, work, end)
    return Returned(3, Span(first, 10), timing, START, arrived, 1500, samples or {})


CHUNKS = (
    returned(11, 0, (0.0, 0.5, 4.0, 4.5)),
    returned(22, 10, (0.0, 1.0, 5.0, 6.0)),
    returned(11, 20, (4.25, 4.5, 9.0, 9.5)),
    returned(22, 30, (6.0, 6.0, 7.0, 7.0)),
)
"""Worker 11 works for 8 of 10 seconds, worker 22 for 5."""


def tell(observer: Observer, chunks: Iterable[Returned] = CHUNKS, *, commit: float = 0.25) -> None:
    """Tell of a whole loop: ten seconds, of which the commits of each chunk take `commit`."""
    observer.begun(begun())
    free = START
    for chunk in chunks:
        observer.returned(chunk)
        began, free = max(free, chunk.arrived), max(free, chunk.arrived) + commit
        observer.committed(Committed(3, chunk.span, began, free))
    observer.ended(3, START + 10)
