"""A loop's chunks, sent in another order than they are taken back in."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from mpmagic.cell.jumps import breaks_of
from mpmagic.run.admission import Admitted
from mpmagic.run.context import CellContext
from mpmagic.run.dispatch import Dispatch
from mpmagic.run.flight import Flight
from mpmagic.run.schedule import Schedule, schedule
from mpmagic.run.source import ItemSource

__all__ = ["Scheduled", "schedule_of"]

_WORTH_SECONDS: Final = 0.1
"""Of work; less is through before anybody waits for it."""
_MOST_BYTES: Final = 64 << 20
"""Of items that wait, packed, until they are sent."""


def schedule_of(
    seconds: Sequence[float], admitted: Admitted, source: ItemSource, cell: CellContext
) -> Schedule | None:
    """The order in which a loop's chunks are to be sent; None if it's that of its iterations.

    Parameters
    ----------
    seconds
        What its iterations took last time; nothing if that isn't known.
    """
    options = cell.options
    split, in_turn = admitted.split, admitted.shadow is not None or not source.inert
    may_end = split.speculates or breaks_of(admitted.dependence.body)
    asked = options.chunk is not None or options.alone or cell.kept is not None
    if sum(seconds) < _WORTH_SECONDS or in_turn or may_end or asked:
        return None
    return schedule(seconds, cell.workers)


class Scheduled(Dispatch):
    """Sends them as a schedule says.

    Parameters
    ----------
    planned
        The schedule, of all items that the source has.
    """

    def __init__(
        self,
        admitted: Admitted,
        private: tuple[str, ...],
        source: ItemSource,
        cell: CellContext,
        *,
        planned: Schedule,
    ) -> None:
        super().__init__(admitted, private, source, cell)
        self._planned: Schedule | None = planned
        self._unsent: deque[Flight] = deque()

    def _refill(self) -> bool:
        if self._planned is not None:
            self._pull_all(self._planned)
        most = self._engine.most_under_way
        # What has been pulled is sent, also if nothing more is to be.
        while self._unsent and self._under_way() < most:
            flight = self._unsent[0]
            if self._has_much_waiting():
                flight = self._flights[0]  # for which it waits
                if flight.is_sent:
                    return False
            self._launch_next(flight)
        return False if self._unsent else super()._refill()

    def _pull_all(self, planned: Schedule) -> None:
        self._planned, pulled = None, list[Flight | None]()
        size = 0
        for count in planned.sizes:
            batch = self._source.pull(count)
            if batch is None:  # an item that can't be sent ends the loop before it
                break
            pulled.append(self._prepared(batch))
            size += getattr(batch.packed, "nbytes", 0)
            if size > _MOST_BYTES:  # those after them are pulled and sent in turn
                break
        flights = (pulled[number] for number in planned.order if number < len(pulled))
        self._unsent = deque(flight for flight in flights if flight is not None)

    def _launch_next(self, flight: Flight) -> None:
        self._unsent.remove(flight)
        self._launch(flight)
