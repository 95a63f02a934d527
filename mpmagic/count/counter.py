"""What one thread holds while it counts: its buffer, and how it looks at the bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from mpmagic.count.clock import Clock
from mpmagic.count.matching import Grouper, Matcher
from mpmagic.count.measures import measure
from mpmagic.count.newlines import BLOCK, Block, new_block, newlines_in
from mpmagic.count.query import Query
from mpmagic.count.scan import Reader, scan
from mpmagic.count.tally import Tally
from mpmagic.count.wholelines import UniversalReader, whole_lines

__all__ = ["Counter", "new_counter"]


class Counter(Protocol):
    """Counts what a reader gives. Each thread has its own."""

    block: Block | None

    def count(self, reader: Reader, tally: Tally) -> None:
        """Add all that `reader` gives to `tally`, block by block."""
        ...


def new_counter(query: Query, largest: int) -> Counter:
    """Make the counter for a query; `largest` is the size of the largest file."""
    if query.by_lines:
        return _LineCounter(query, largest)
    return _NewlineCounter(query, largest)


class _NewlineCounter:
    def __init__(self, query: Query, largest: int) -> None:
        self._block = new_block(largest)
        self._universal = query.universal
        # A file that fits in is read at once, unless its bytes have to be changed before.
        self.block: Block | None = None if query.universal else self._block

    def count(self, reader: Reader, tally: Tally) -> None:
        scan(UniversalReader(reader) if self._universal else reader, self._block, tally)


_NEWLINE = 10
# Here each step is a numpy call that takes the GIL again: a larger block, but one that fits with
# its intermediate results into the cache.
_ROOM_OF_MEASURES = 256 << 10


class _LineCounter:
    block: Block | None = None

    def __init__(self, query: Query, largest: int) -> None:
        self._query = query
        self._room = min(largest + 2, _room(query))
        self._matcher = Matcher(query.match) if query.match else None
        self._grouper = Grouper(query) if query.by else None
        self._clock = Clock(query) if query.interval else None
        self._measure: Callable[[memoryview], Tally] = (
            partial(measure, query=query) if query.columns else _ends
        )

    def count(self, reader: Reader, tally: Tally) -> None:
        reader = UniversalReader(reader) if self._query.universal else reader
        for block in whole_lines(reader, self._room):
            tally.join(self._sum_up(block))

    def _sum_up(self, block: memoryview) -> Tally:
        part = self._measure(block)
        if self._matcher is not None:
            found = self._matcher.count(block)
            part.matches = part.lines - found if self._query.invert else found
        if self._grouper is not None:
            part.groups = self._grouper.count(block)
        if self._clock is not None:
            part.groups = self._clock.count(block)
            if missing := self._clock.unstamped(part):
                part.groups[""] = part.groups.get("", 0) + missing
        return part


def _room(query: Query) -> int:
    return _ROOM_OF_MEASURES if query.columns else BLOCK // 2


def _ends(block: memoryview) -> Tally:
    return Tally(newlines_in(block), len(block), block[-1] != _NEWLINE)
