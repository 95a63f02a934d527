"""Whether iterations are so short that the kernel does them faster than it takes them back."""

from __future__ import annotations

from typing import Final

from mpmagic.cell.plan import PlannedLoop
from mpmagic.run.admission import Admitted
from mpmagic.run.context import CellContext
from mpmagic.run.log import Log
from mpmagic.run.source import ItemSource

__all__ = ["Brevity"]

_SECONDS: Final = 0.5e-6
"""What the kernel spends at least on an iteration's log: `tests/bench/engines.py` measures it."""
_ITERATIONS: Final = 200  # of a chunk; of fewer, what a chunk costs by itself would count as work
_WORTH_IT: Final = 2_000  # iterations that are left; fewer are through before they are counted


class Brevity:
    """Looks for work that is shorter than its way back, however many workers there are.

    A loop whose source tells how much is left can go on in the kernel with the cell's own code,
    as it would without `%%parallel`: all iterations before are committed by then.
    """

    def __init__(self, source: ItemSource) -> None:
        self._source = source
        self.found = False

    @classmethod
    def of(
        cls, planned: PlannedLoop, admitted: Admitted, source: ItemSource, cell: CellContext
    ) -> Brevity | None:
        """What watches a loop; None for one that has to stay with the workers."""
        split, options = admitted.split, cell.options
        as_is = admitted.shadow is None and not split.speculates and planned.element is None
        free = options.chunk is None and options.seed is None and not cell.observer.samples
        asked = options.private or options.local or options.ahead
        plain = source.can_be_left and not source.staying
        return cls(source) if as_is and free and plain and not asked else None

    def seen_in(self, log: Log, iterations: int) -> bool:
        """Whether this chunk shows it."""
        remaining = self._source.remaining or 0
        if iterations >= _ITERATIONS and remaining >= _WORTH_IT:
            self.found = self.found or log.timing.seconds < iterations * _SECONDS
        return self.found
