"""A job that every contestant does in its own way, and what mpmagic is to reach at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.peers.peer import PEERS, Peer

if TYPE_CHECKING:
    from tests.bench.peers.record import Record


@dataclass(frozen=True, slots=True)
class Step:
    """A timed cell.

    Attributes
    ----------
    label
        What is measured; the column of the table.
    cell
        Its source.
    repeats
        How often it runs in a round, of which the median counts.
    magic
        The options behind `%%parallel` on top of it; None for a cell without.
    does_it
        Whether it does the job, whose result is then checked.
    """

    label: str
    cell: str
    repeats: int = 1
    magic: str | None = None
    does_it: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What mpmagic is to reach: a number of each round, at most a limit.

    Attributes
    ----------
    text
        Said of the number in the table.
    number
        It, from what was measured; NaN where that's missing.
    limit
        What it may be.
    """

    text: str
    number: Callable[[Record], float]
    limit: float


@dataclass(frozen=True, slots=True)
class Workload:
    """A job.

    Attributes
    ----------
    name, title
        On the command line, and in the table.
    setup
        The cell that defines its functions and data; it runs before the workers start.
    steps
        The timed cells of a contestant; none if it has no way to do this.
    check
        The cell that fails if the result is wrong.
    lines
        What the step must have shown, if it is to show something.
    prepare, tidy
        Cells before and after each round; `{round}` stands for its number.
    targets
        What mpmagic is to reach.
    fresh
        Whether each round has a new kernel.
    most
        The largest number of rounds that is worth its time.
    weighs
        Whether the memory of the kernel and its workers is measured, in a round of its own.
    peers
        Who may take part.
    files
        Makes what is read, in a folder whose path cells know as `folder`.
    """

    name: str
    title: str
    setup: str
    steps: Callable[[Peer], list[Step]]
    check: str
    lines: str = ""
    prepare: str = ""
    tidy: str = ""
    targets: list[Target] = field(default_factory=list)
    fresh: bool = False
    most: int = 100
    weighs: bool = False
    peers: Sequence[Peer] = PEERS
    files: Callable[[Path], None] | None = None
