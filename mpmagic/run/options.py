"""What the user asks of a parallel cell."""

from __future__ import annotations

from dataclasses import dataclass, field

from mpmagic.cell.dependence import Allowances

__all__ = ["LoopReport", "Options", "RunReport"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``%%parallel``.

    Attributes
    ----------
    workers
        How many workers; None for as many as the pool has.
    chunk
        Iterations per chunk; None to adapt.
    ahead, local, private, seed
        As the magic's options of these names.
    """

    workers: int | None = None
    chunk: int | None = None
    ahead: bool = False
    local: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    seed: int | None = None

    @property
    def allowances(self) -> Allowances:
        """What the analysis has to know of them."""
        return Allowances(
            ahead=self.ahead,
            local=self.local,
            private=self.private,
            seeded=self.seed is not None,
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
    """

    line: int
    iterations: int = 0
    chunks: int = 0
    wall: float = 0.0
    work: float = 0.0


@dataclass(slots=True)
class RunReport:
    """What became of a cell.

    Attributes
    ----------
    loops
        The loops that were split, once for each time that they were reached.
    stayed
        Lines and reasons of the loops that ran in the kernel.
    """

    loops: list[LoopReport] = field(default_factory=list)
    stayed: list[tuple[int, str]] = field(default_factory=list)

    @property
    def split(self) -> int:
        """How many loops were split."""
        return len(self.loops)
