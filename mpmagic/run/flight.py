"""A chunk on its way to a worker and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from mpmagic.run.drawn import Drawn
from mpmagic.run.keptloop import Former
from mpmagic.run.live import Early
from mpmagic.run.log import Chunk, Log
from mpmagic.run.source import Batch
from mpmagic.run.trip import Trip

__all__ = ["Flight", "Roots"]


@dataclass(slots=True, eq=False)
class Flight:
    """A chunk on its way.

    Attributes
    ----------
    first, count
        Its iterations.
    batch
        Its items.
    future
        Its log, packed; as long as it isn't sent, one that nobody resolves.
    log
        Its log, once it is taken back.
    early
        What it wrote before its log came.
    trip
        When it was sent and came back.
    chunk
        What was sent.
    drawn
        What the kernel has drawn ahead for it.
    tries
        How many times it was sent.
    error
        Why there is no log, if it was an iteration alone and its worker died or was stopped.
    former
        The earlier run that has kept its log, if one has.
    is_sent
        Whether it has been sent.
    """

    first: int
    count: int
    batch: Batch
    future: Future[Any]
    log: Log
    early: Early
    trip: Trip
    chunk: Chunk
    drawn: Drawn | None = None
    counted: bool = False
    tries: int = 1
    error: BaseException | None = None
    former: Former | None = None
    is_sent: bool = False


class Roots(Mapping[str | int, Any]):
    """The kernel's own of what a chunk's worker was sent: captured values and items."""

    def __init__(self, captured: Mapping[str, Any], items: Sequence[Any]) -> None:
        self._captured, self._items = captured, items

    def __getitem__(self, root: str | int) -> Any:
        return self._captured[root] if isinstance(root, str) else self._items[root]

    def __iter__(self) -> Iterator[str | int]:
        yield from self._captured
        yield from range(len(self._items))

    def __len__(self) -> int:
        return len(self._captured) + len(self._items)
