"""Whether iterations are so short that the kernel does them faster than it takes them back."""

from __future__ import annotations

from typing import Final

from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.worth import calls_in_work
from mpmagic.run.admission import Admitted
from mpmagic.run.context import CellContext
from mpmagic.run.log import Log
from mpmagic.run.source import ItemSource

__all__ = ["Brevity"]

_SECONDS: Final = 1e-6
"""What an iteration's log costs at least, half in the worker, where that counts as work, and half
in the kernel: `tests/bench/engines.py` measures it."""
_ITERATIONS: Final = 200  # of a chunk; of fewer, what a chunk costs by itself would count as work
_LOOKS: Final = 3
"""Chunks of so many that show it or don't: a worker may have had to wait for a processor."""
_WORTH_IT: Final = 2_000  # iterations that are left; fewer are through before they are counted


class Brevity:
    """Looks for work that is shorter than its way back, however many workers there are.

    A loop whose source tells how much is left can go on in the kernel with the cell's own code,
    as it would without `%%parallel`: all iterations before are committed by then.
    """

    def __init__(self, source: ItemSource, *, may_grow: bool) -> None:
        self._source = source
        # What calls something may do more and more of it, as where items grow.
        self._most_left = (source.remaining or 0) // (2 if may_grow else 1)
        self.found = False
        self._looks = 0

    @classmethod
    def of(
        cls, planned: PlannedLoop, admitted: Admitted, source: ItemSource, cell: CellContext
    ) -> Brevity | None:
        """What watches a loop; None for one that has to stay with the workers."""
        split, options = admitted.split, cell.options
        as_is = admitted.shadow is None and not split.speculates and planned.element is None
        free = options.chunk is None and options.seed is None and not cell.observer.samples
        asked = options.private or options.local or options.ahead or options.alone or cell.kept
        plain = source.can_be_left and not source.packer.staying and not options.residents
        if not as_is or not free or asked or not plain:
            return None
        may_grow = calls_in_work(admitted.dependence, list(split.operands))
        return cls(source, may_grow=may_grow)

    @property
    def largest(self) -> int | None:
        """How large chunks may be: what is under way when it's found is taken back at a loss."""
        return _ITERATIONS if self._looks < _LOOKS else None

    def seen_in(self, log: Log, iterations: int) -> bool:
        """Whether this chunk shows it."""
        if iterations >= _ITERATIONS:
            self._looks += 1
            is_brief = log.timing.seconds < iterations * _SECONDS
            in_time = _WORTH_IT <= (self._source.remaining or 0) <= self._most_left
            self.found = self.found or (is_brief and in_time)
        return self.found
