"""What a worker is told of a loop, of a call, or of a cell that every worker runs."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import Any

from mpmagic.cell.formats import CarriedFormats
from mpmagic.run.modules import ModuleState
from mpmagic.run.state import ProcessState
from mpmagic.run.texts import Texts

__all__ = ["ProgramSource"]


@dataclass(frozen=True, slots=True)
class ProgramSource:
    """What a worker needs to know of a loop besides the captured values.

    Attributes
    ----------
    work
        Code of the work, see `mpmagic.cell.split.SplitLoop`.
    private
        Names that the work binds in the namespace, in the order of snapshots.
    certain
        Those of them that every iteration binds.
    targets
        Names of the loop's target.
    own
        Captured values of which each worker keeps its own (``--local``).
    filename
        The cell's file name.
    texts
        The cell's text, and those of the cells that it calls functions of.
    state
        The process state that the kernel had when the loop began.
    class_ids
        Classes of the notebook among what was captured.
    seed
        Of iterations' random streams, None for none.
    speculates
        Whether the work goes on after what the kernel may skip.
    sliced
        Captured names into whose slots the work stores.
    mirrors
        Whether it stores into what was sent at all, as the commits will.
    fresh
        Captured names of which each iteration has a copy of its own.
    prepared
        Names that the work and the commits both bind.
    carried
        Those of them whose values are given where an iteration begins.
    drawn
        Those of them that are what the kernel has drawn, in the order of the draws.
    silent
        Sites of commits that write nothing.
    probes
        Sites of what a commit evaluates before the worker's operands.
    modules
        The modules that the work may look into, as the kernel has them.
    tally, counters, sums
        Code of the loop as it sums, see `mpmagic.cell.tallied.Tallied`; None if it can't be.
    samples
        Whether workers note where the work spends its time.
    local
        Names of which each worker keeps its own.
    formats
        How the notebook formats what it displays; None if the kernel has to.
    verbose
        Whether tracebacks are shown with the values of variables.
    last
        Of a cell of ``--each``, the code of the expression at its end.
    residents
        Names that the notebook lacks and such cells have left in the workers.
    version
        Which cells those were: other ones may have left something else under the same names.
    kept
        Whether logs are kept for a later run, those of finished work.
    followed
        Modules whose global random stream the loop's commits move while the work runs, in a process
        that both share.
    watched
        Whether the work may change what was captured, as long as the loop's items are plain.
    """

    work: types.CodeType
    private: tuple[str, ...]
    certain: frozenset[str]
    targets: frozenset[str]
    own: dict[str, Any] = field(default_factory=dict)
    filename: str = ""
    texts: Texts = ()
    state: ProcessState | None = None
    class_ids: frozenset[str] = frozenset()
    seed: int | None = None
    speculates: bool = False
    sliced: tuple[str, ...] = ()
    mirrors: bool = False
    fresh: tuple[str, ...] = ()
    prepared: frozenset[str] = frozenset()
    carried: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    silent: frozenset[int] = frozenset()
    probes: frozenset[int] = frozenset()
    modules: tuple[ModuleState, ...] = ()
    tally: types.CodeType | None = None
    counters: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    samples: bool = False
    local: frozenset[str] = frozenset()
    formats: CarriedFormats | None = None
    verbose: bool = False
    last: types.CodeType | None = None
    residents: tuple[str, ...] = ()
    version: int = 0
    kept: bool = False
    followed: frozenset[str] = frozenset()
    watched: bool = True
