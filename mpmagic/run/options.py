"""What the user asks of a parallel cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import length_hint
from typing import Any, NamedTuple

from mpmagic.cell.dependence import Allowances

__all__ = ["CallsReport", "FailedIteration", "LoopReport", "Options", "RunReport"]


class Options(NamedTuple):
    """The options of ``%%parallel``.

    Attributes
    ----------
    workers
        How many workers; None for as many as the pool has.
    chunk
        Iterations per chunk; None to adapt.
    ahead, local, private, seed
        As the magic's options of these names.
    apart
        Whether workers have processes of their own.
    timeout, retries, keep_going
        As the magic's options of these names.
    residents
        Names that the notebook lacks and cells of ``--each`` have left in the workers.
    """

    workers: int | None = None
    chunk: int | None = None
    ahead: bool = False
    local: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    seed: int | None = None
    apart: bool = True
    timeout: float | None = None
    retries: int = 0
    keep_going: bool = False
    residents: frozenset[str] = frozenset()

    @property
    def alone(self) -> bool:
        """Whether each iteration travels alone, since it may fail alone."""
        return self.timeout is not None or self.retries > 0 or self.keep_going

    @property
    def allowances(self) -> Allowances:
        """What the analysis has to know of them."""
        return Allowances(
            ahead=self.ahead,
            local=self.local | self.residents,
            private=self.private,
            seeded=self.seed is not None,
            apart=self.apart,
        )


@dataclass(slots=True)
class LoopReport:
    """What became of one loop that was split.

    Attributes
    ----------
    line
        Its line in the cell.
    iterations
        Iterations that were committed.
    chunks
        Chunks that they came in.
    wall
        Seconds from the loop's begin to its end.
    work
        Seconds of work in the workers, summed.
    total
        How many iterations it has, None if that can't be known before it's over.
    rest
        What the loop went on with in the kernel, if its work was too short to be sent.
    resumed
        Those of the iterations whose work an earlier run of the cell has done.
    """

    line: int
    iterations: int = 0
    chunks: int = 0
    wall: float = 0.0
    work: float = 0.0
    total: int | None = None
    rest: Iterator[Any] | None = None
    resumed: int = 0

    def go_on(self, rest: Iterator[Any]) -> Iterator[Any]:
        """Count what the kernel takes out of an iterator, by what is left in it."""
        self.rest = rest
        return rest

    @property
    def done(self) -> int:
        """Iterations that are through, those in the kernel included."""
        if self.rest is None or self.total is None:
            return self.iterations
        return self.total - length_hint(self.rest)


@dataclass(slots=True)
class CallsReport:
    """What became of adjacent calls outside of loops.

    Attributes
    ----------
    line
        The first one's line in the cell.
    calls
        Calls whose results came from a worker and were bound.
    beside
        Calls that were sent while an earlier one was still away.
    wall
        Seconds from the first one's begin to the last one's end.
    work
        Seconds of work in the workers, summed.
    """

    line: int
    calls: int = 0
    beside: int = 0
    wall: float = 0.0
    work: float = 0.0


@dataclass(frozen=True, slots=True)
class FailedIteration:
    """An iteration that ``--keep-going`` has passed over.

    Attributes
    ----------
    line
        Its loop's.
    number
        Which one it is.
    item
        Its item, shortened.
    error
        What it raised, in one line.
    tries
        How many times it was tried.
    """

    line: int
    number: int
    item: str
    error: str
    tries: int


@dataclass(slots=True)
class RunReport:
    """What became of a cell.

    Attributes
    ----------
    loops
        The loops that were split, once for each time that they were reached.
    calls
        Of a cell without a loop, the adjacent calls that ran side by side.
    stayed
        Lines and reasons of the loops that ran in the kernel.
    kept
        Lines and reasons of the calls that ran in the kernel, against the plan.
    serial
        Why the cell ran as it is, if it did.
    failures
        The iterations that were passed over.
    told_of_resuming
        What there is to say of earlier runs, and of what is kept for later ones.
    is_news
        Whether the user hasn't been told the same of this cell before.
    """

    loops: list[LoopReport] = field(default_factory=list)
    calls: list[CallsReport] = field(default_factory=list)
    stayed: list[tuple[int, str]] = field(default_factory=list)
    kept: list[tuple[int, str]] = field(default_factory=list)
    serial: str = ""
    failures: list[FailedIteration] = field(default_factory=list)
    told_of_resuming: list[str] = field(default_factory=list)
    is_news: bool = True

    @property
    def told(self) -> bool:
        """Whether there is anything to say."""
        said = self.loops or self.calls or self.stayed or self.kept or self.serial
        return self.is_news and bool(said)

    @property
    def split(self) -> int:
        """How many loops were split, and how many groups of calls ran side by side."""
        return len(self.loops) + sum(report.beside > 0 for report in self.calls)
