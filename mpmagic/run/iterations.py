"""What a worker does around the work of each iteration: before it, and when it is over."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property, partial
from time import perf_counter
from typing import Any, Final

from mpmagic.cell.vocabulary import START
from mpmagic.pool import in_worker, mark, start_clock
from mpmagic.run.begun import Begun
from mpmagic.run.identity import Places
from mpmagic.run.log import UNBOUND, Chunk, Log
from mpmagic.run.program import Program
from mpmagic.run.seeds import seed_iteration
from mpmagic.run.small import ALWAYS_SMALL, small_or_lost
from mpmagic.run.warned import forget_unseen
from mpmagic.run.watch import are_inert, is_inert

__all__ = ["Iterations"]

_MARKED: Final = 1000
"""Iterations of a chunk of which each tells that it begins: those of larger ones are short."""
_UNEVEN_SECONDS: Final = 0.0005
"""From what an iteration takes on the kernel is told of each what it took."""


class Iterations:
    """The iterations of one chunk.

    Parameters
    ----------
    program
        The loop.
    chunk
        Which ones.
    items
        Their items.
    log
        The chunk's log.
    """

    def __init__(self, program: Program, chunk: Chunk, items: Any, log: Log) -> None:
        self._program, self._chunk = program, chunk
        self._items, self._log = items, log
        self._begins: list[float] = []

    def run(self, note: Callable[[Any], object], over: Callable[[], object]) -> Iterator[Any]:
        """Give the items, one after the other, for their iterations to run.

        Parameters
        ----------
        note
            Appends an event to the log.
        over
            Is called when an iteration is over that hasn't left the loop.
        """
        names, snapshots = self._program.source.private, self._log.snapshots
        begun = Begun(self._chunk.given, self._program)
        # Most loops need none of them: a loop over nothing is what is cheap then.
        steps, begin = self._steps(begun), (START,)
        for index, item in enumerate(begun.items(self._items), self._chunk.first):
            note(begin)
            for step in steps:
                step(index)
            yield item
            over()
            if names:
                snapshots.append(self.bound(names))

    def _steps(self, begun: Begun) -> list[Callable[[int], object]]:
        """What has to be done where an iteration begins, in this order."""
        chunk, program, source = self._chunk, self._program, self._program.source
        steps: list[Callable[[int], object]] = []
        if chunk.given is not None:
            steps.append(lambda index: begun.enter())
        if in_worker() and chunk.count <= _MARKED:
            steps.append(self._mark)
        if source.speculates:
            steps.append(self._forget)
        if source.fresh:
            steps.append(lambda index: program.renew())
        if source.seed is not None:
            steps.append(partial(self._seed, source.seed))
        if chunk.clocked:
            steps.append(lambda index: start_clock())
        return steps

    def _mark(self, index: int) -> None:
        mark(index)
        self._begins.append(perf_counter())

    def _forget(self, index: int) -> None:
        forget_unseen(self._log.events)
        self._program.forget_temporaries()

    def _seed(self, seed: int, index: int) -> None:
        seed_iteration(seed, index, self._program.side.captured)

    def laps(self) -> tuple[float, ...]:
        """What each of them took, in seconds; nothing where they are short or just one."""
        timing = self._log.timing
        ends = [*self._begins[1:], timing.ended]
        if len(ends) == 1 or timing.seconds < len(ends) * _UNEVEN_SECONDS:
            return ()
        return tuple(end - begin for begin, end in zip(self._begins, ends, strict=True))

    def bound(self, names: Iterable[str], copied: Collection[str] = ()) -> tuple[Any, ...]:
        """The present values of private names, those that are small; copies of some."""
        get = self._program.side.namespace.get
        return tuple([
            value if type(value := get(name, UNBOUND)) in ALWAYS_SMALL
            else self._if_small(value, copied=name in copied)
            for name in names
        ])  # fmt: skip

    def _if_small(self, value: Any, *, copied: bool) -> Any:
        """The value, if the kernel has the original or if it is small, or then a copy of it."""
        if not is_inert(value) and value in self.own:
            return value  # what travels is its place
        small = small_or_lost(value)
        return copy.deepcopy(small) if copied and not is_inert(small) else small

    @cached_property
    def own(self) -> Places:
        """The places of what the kernel has the originals of."""
        program, items = self._program, self._items
        if isinstance(items, range) or are_inert(items):
            return program.places
        deep = not program.source.mirrors
        return Places(dict(enumerate(items)), deep=deep, more=program.places)
