"""A loop in its two halves, and the events that the one sends to the other.

What one half sends the other replays. An event is a tuple: the number of a commit's site (or one of
the numbers below), and the operands that the worker computed for it.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from mpmagic.cell.half import Half
from mpmagic.cell.prepared import Prepared
from mpmagic.cell.site import Site
from mpmagic.cell.slices import Slice

__all__ = ["SplitLoop"]


class SplitLoop(NamedTuple):
    """A loop in its two halves.

    Attributes
    ----------
    line
        The line of the loop in the cell.
    work
        The worker's function; its parameters are the log's append, the items, and what
        else a worker's half calls.
    commit
        The kernel's function ``(events, replay)``; None for a comprehension.
    captured
        Names that the work reads from the notebook.
    private
        Names that the work binds; for a loop statement their last values survive.
    certain
        Those of them that every iteration binds.
    targets
        Names of the loop's target.
    shared
        Names that the commits change or bind.
    kernel_reads
        Names that the commits touch.
    operands
        What the worker sends.
    sites
        The commits' sites.
    speculates
        Whether a commit may end an iteration whose work has run on, perhaps to an exception.
    slices
        State that each iteration reads and writes in a slot of its own.
    fresh
        Names that each iteration has a copy of its own of (``--private``).
    probes
        Sites of what a commit evaluates before the worker's operands, which matters only if
        these printed or raised something.
    prepared
        What the kernel runs ahead of the work.
    ahead
        The function that does so, of items; None if there is nothing.
    silent
        Sites of the commits that follow what has run ahead.
    """

    line: int
    work: Half
    commit: Half | None
    captured: frozenset[str]
    private: frozenset[str]
    certain: frozenset[str]
    targets: frozenset[str]
    shared: frozenset[str]
    kernel_reads: frozenset[str]
    operands: tuple[ast.expr, ...]
    sites: tuple[Site, ...]
    speculates: bool
    slices: tuple[Slice, ...]
    fresh: frozenset[str]
    probes: frozenset[int]
    prepared: Prepared
    ahead: Half | None
    silent: frozenset[int]

    def sends_like(self, other: SplitLoop) -> bool:
        """Whether the workers of both send the same: then their kernel's halves are the same."""
        return [*map(ast.dump, self.operands)] == [*map(ast.dump, other.operands)]
