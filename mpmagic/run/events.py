"""Where a loop's commits are among the events of its logs: what their code asks, and is given.

The kernel's half of a loop iterates over `Events`, which hands it one event after the other, and
plays in between what the work did beside them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from mpmagic.cell.vocabulary import BREAK, DELETED, START
from mpmagic.errors import LostWrite, MpmagicError, UnsendableValue
from mpmagic.run.admission import Admitted
from mpmagic.run.complaints import unsendable_value
from mpmagic.run.context import CellContext
from mpmagic.run.drawn import Drawn
from mpmagic.run.failure import Failure, unpack_failure
from mpmagic.run.figures import open_again
from mpmagic.run.flight import Flight
from mpmagic.run.log import LEVELS, RAISE, SHOWN, SIGNALS, TEXT, UNSENDABLE, Log
from mpmagic.run.replayed import replay_aside
from mpmagic.run.side import Side
from mpmagic.run.speculation import Outcome, raise_as_here, take
from mpmagic.run.tape import play
from mpmagic.run.temporaries import Temporaries
from mpmagic.run.tidying import tidy
from mpmagic.run.work import Drained

__all__ = ["Events", "tidy_raised"]


class Events:
    """The events of one run of a loop.

    Parameters
    ----------
    admitted
        The loop.
    side
        The kernel's side of it.
    temporaries
        Takes what the work's names are bound to.
    cell
        The cell.

    Attributes
    ----------
    log, flight
        The log that is replayed, and the chunk that it is of; no log between chunks.
    index
        Of its iterations the one that is replayed; -1 before the first.
    event
        The commit that is under way, or what ended the loop; None between iterations.
    skipped
        Iterations of it that a commit has left by ``continue``, with its event.
    broken
        Whether the loop was left by ``break``.
    failure
        What ends the loop. It is raised when the generator that replays is over: in it a
        StopIteration would be lost.
    raised
        The last exception that came from a worker.
    """

    def __init__(
        self,
        admitted: Admitted,
        side: Side,
        temporaries: Temporaries,
        cell: CellContext,
    ) -> None:
        self._admitted, self._side = admitted, side
        self._temporaries, self._cell = temporaries, cell
        self._in_order: Iterator[tuple[Any, ...]] = iter(())
        self._skipping = False
        self.log: Log | None = None
        self.flight: Flight
        self.index = 0
        self.event: tuple[Any, ...] | None = None
        self.skipped: dict[int, tuple[Any, ...]] = {}
        self.broken = False
        self.failure: BaseException | None = None
        self.raised: BaseException | None = None

    # -- what the commits' code calls ------------------------------------------------------------

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        # Given away: what is kept here, and knows the run, would keep the run.
        in_order, self._in_order = self._in_order, iter(())
        return in_order

    def skip(self) -> None:
        """A commit said ``continue``."""
        self._skipping = True
        assert self.event is not None
        self.skipped[self.index] = self.event

    def stop(self) -> None:
        """A commit said ``break``."""
        self.broken = True

    def tidy(self) -> None:
        """Take our frames out of an exception that handlers of the loop's body are to see."""
        tidy_raised(self._cell)

    def give(self, position: int) -> Any:
        """A commit has come to what was run ahead: do what that did, and give its value."""
        event = self.event
        assert event is not None
        outcome: Outcome = event[position + 1]
        piece = self._admitted.split.sites[event[0]].pieces[position]
        try:
            stuck = take(outcome, piece, self._cell.namespace)
        except UnsendableValue as error:
            raise self.fenced(error) from None
        if outcome.failure is not None:
            raise_as_here(self.remote(outcome.failure))
        if stuck is not None:
            unsendable = (UNSENDABLE, event[0], position, stuck.kind, stuck.reason)
            raise self.fenced(self._unsendable(unsendable, self.flight))
        return outcome.values[0] if outcome.values else None

    def leaps(self, number: int) -> bool:
        """Whether a commit moves a generator on to where a draw has left it ahead."""
        return self._drawn.leaps(self.index, number)

    def leapt(self, number: int) -> Any:
        """A commit moves it on; what was drawn."""
        return self._drawn_again(self._drawn.leapt, number)

    def drew(self, number: int, value: Any) -> Any:
        """A commit has made a draw from the generator itself: it must be what was made ahead."""
        return self._drawn_again(self._drawn.again, number, value)

    def _drawn_again(self, draw: Callable[..., Any], *arguments: Any) -> Any:
        """What a draw gives that was made ahead; no handler gets it if that was another."""
        try:
            return draw(self.index, *arguments)
        except LostWrite as error:
            raise self.fenced(error) from None

    @property
    def _drawn(self) -> Drawn:
        assert self.flight.drawn is not None
        return self.flight.drawn

    # -- for the loop ----------------------------------------------------------------------------

    def begin(self, in_order: Iterator[tuple[Any, ...]]) -> None:
        """Let the commits iterate over the events of all iterations that are theirs, in order."""
        self._in_order = in_order

    def forget(self) -> None:
        """Let go of exceptions: their tracebacks lead to the loop."""
        self.failure = self.raised = None

    @property
    def is_within(self) -> bool:
        """Whether an iteration is being replayed."""
        return self.log is not None and self.index >= 0

    def fenced(self, error: MpmagicError) -> BaseException:
        """What the cell's code is to see of an error: the work may have raised it itself."""
        return error if error is self.raised else self._cell.fence.stop(error)

    def enter(self, flight: Flight) -> None:
        """Another chunk has come back."""
        self.flight, self.log = flight, flight.log
        self.index, self.event = -1, None
        self.skipped.clear()

    def of_chunk(self) -> Iterator[tuple[Any, ...]]:
        """The events of that chunk which are the commits'; the others are played."""
        flight, log = self.flight, self.flight.log
        items, preludes, early = flight.batch.items, flight.batch.preludes, flight.early
        for event in log.events:
            code = event[0]
            if code >= 0:
                if not self._skipping:
                    ended, self.event = self.event if self.broken else None, event
                    yield event
                    self.event = ended or event
            elif code == START:
                if self.broken:
                    return
                self._skipping = False
                self.event = None
                self.index += 1
                if self.index in preludes and not early.has_begun(self.index):
                    play(preludes[self.index])
                yield (START, items[self.index])
            elif self._skipping and code not in (UNSENDABLE, SIGNALS, LEVELS):
                continue
            elif code == DELETED:
                self._temporaries.deleted(event[1])
            elif code in (TEXT, SHOWN):
                play([early.rest(event)])
            elif code == BREAK:
                self.broken = True  # what `finally` commits on the way out still follows
                self.event = event
            elif code == RAISE:
                self.event = event
                self.failure = self.remote(event[1])
                open_again(log.left)
                return
            elif code == UNSENDABLE:
                raise self._unsendable(event, flight)
            else:
                replay_aside(event, self._cell.namespace)

    def remote(self, packed: Failure) -> BaseException:
        """An exception that comes from a worker, for the kernel to raise."""
        self.raised = unpack_failure(packed, self._side)
        return self.raised

    def replayed(self, drained: Drained) -> Iterator[Any]:
        """The elements of a generator that the worker exhausted, and what ended it."""
        yield from drained.elements
        if drained.failure is not None:
            raise self.remote(drained.failure)

    def _unsendable(self, event: tuple[Any, ...], flight: Flight) -> UnsendableValue:
        _, site, position, kind, reason = event
        operands = self._admitted.split.sites[site].operands if site >= 0 else ()
        iteration = flight.first + self.index
        return unsendable_value(operands, position, iteration, kind=kind, reason=reason)


def tidy_raised(cell: CellContext) -> None:
    """Take our frames out of the exception that is being handled."""
    error = sys.exception()
    assert error is not None
    cell.leave(error)
    tidy(error)
    del error  # frames that `tidy` makes have this one below them
