"""The run of a split loop: logs back from the workers, commits in order.

It hands the commits' code one event after the other and meanwhile keeps the workers supplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mpmagic.cell.plan import PlannedLoop
from mpmagic.errors import MpmagicError, UnsendableValue
from mpmagic.run.admission import Admitted
from mpmagic.run.brevity import Brevity
from mpmagic.run.complaints import (
    inputs_changed,
    item_changed,
    lost_write,
    refused_chunk,
    shared_draws,
)
from mpmagic.run.context import CellContext
from mpmagic.run.dispatch import Dispatch
from mpmagic.run.events import Events
from mpmagic.run.fence import Stopped
from mpmagic.run.flight import Flight
from mpmagic.run.globalstreams import DrawWatch
from mpmagic.run.log import Log
from mpmagic.run.observer import Span, Unit
from mpmagic.run.options import LoopReport
from mpmagic.run.origins import Origin
from mpmagic.run.packing import followed_by
from mpmagic.run.past import Laps
from mpmagic.run.ranges import FileRanges
from mpmagic.run.retreat import Retreat
from mpmagic.run.scheduled import Scheduled, schedule_of
from mpmagic.run.sent import Sent
from mpmagic.run.source import ItemSource
from mpmagic.run.tape import play
from mpmagic.run.telling import Telling
from mpmagic.run.temporaries import Temporaries
from mpmagic.run.tries import Failures

__all__ = ["ReachedLoop", "Replay"]


@dataclass(slots=True)
class ReachedLoop:
    """A loop that the cell has reached, and that is split.

    Attributes
    ----------
    planned
        The loop.
    admitted
        What is known of it now that its names stand for something.
    source
        Its items.
    report
        What the user is told of it.
    ranges
        Of a file that its workers may read themselves; None for any other iterable.
    brevity
        Finds out whether it's too short for workers; None if it isn't to be.
    retreat
        Finds out whether no worker can do its work; None if it can't go back.
    """

    planned: PlannedLoop
    admitted: Admitted
    source: ItemSource
    report: LoopReport
    ranges: FileRanges | None
    brevity: Brevity | None = None
    retreat: Retreat | None = None

    @property
    def goes_back(self) -> bool:
        """Whether no worker can do the work of what isn't committed."""
        return self.retreat is not None and bool(self.retreat.reason)

    @property
    def is_the_kernels(self) -> bool:
        """Whether the rest of it is the kernel's, or all of it."""
        return self.goes_back or (self.brevity is not None and self.brevity.found)


class Replay:
    """One run of a loop, from its first chunk on.

    Parameters
    ----------
    begun
        The loop.
    cell
        The cell that it is part of.

    Attributes
    ----------
    events
        What the commits' code iterates over, and asks.
    dispatch
        Sends the chunks.
    """

    def __init__(self, begun: ReachedLoop, cell: CellContext) -> None:
        self._begun, self._cell = begun, cell
        self._line = begun.planned.loop.lineno
        admitted = begun.admitted
        split = admitted.split
        names = tuple(sorted(split.private))
        self._through = False
        self._temporaries = Temporaries(names, split)
        self._laps = Laps()
        self.dispatch = self._dispatched(names)
        if begun.brevity is not None:
            self.dispatch.largest = begun.brevity.largest
        self._draws = None
        if not cell.engine().is_apart:
            self._draws = DrawWatch(followed_by(admitted, cell))
        # Commits that change the items themselves have been looked at before.
        kept = split.targets & split.kernel_reads
        self._reads_items = bool(kept) and not kept & admitted.dependence.whole.mutates.keys()
        self._failures = Failures(begun.planned.loop, self.dispatch.tries, cell)
        self._sent: Sent | None = None
        self._first: list[Flight | None] | None = None  # until it's taken
        self._telling: Telling
        self.events = Events(admitted, begun.source.side, self._temporaries, cell)

    def _dispatched(self, names: tuple[str, ...]) -> Dispatch:
        admitted, source, cell = self._begun.admitted, self._begun.source, self._cell
        known = cell.past.seconds(self._key, source.remaining)
        if known is not None and (planned := schedule_of(known, admitted, source, cell)):
            return Scheduled(admitted, names, source, cell, planned=planned)
        dispatch = Dispatch(admitted, names, source, cell)
        if known is not None:
            dispatch.expect(known)
        return dispatch

    @property
    def _key(self) -> tuple[str, int]:
        return self._cell.text, self._begun.planned.number

    # -- one event after the other -------------------------------------------------------------

    def in_order(self) -> Iterator[tuple[Any, ...]]:
        """The events of all iterations in order, those that are the commits'."""
        cell, source = self._cell, self._begun.source
        if self._first is None:
            self.look()
        while (flight := self._taken()) is not None:
            self._check(flight)
            if self._failures.take(flight, source.side):
                continue
            self.events.enter(flight)
            self._telling.returned(flight)
            cell.inbox.enter_user_code()
            yield from self.events.of_chunk()
            cell.fence.check()
            self._check_draws()
            cell.inbox.leave_user_code()
            if self._is_over(flight):
                return
            self._tick()
            self._look_for_brevity(flight)
        if self._begun.is_the_kernels:
            return
        if (shadow := self._begun.admitted.shadow) is not None and shadow.ended:
            self.events.failure = shadow.failure
            return
        self._through = True
        cell.past.remember(self._key, self._laps)
        cell.observer.make_way()
        play(source.ended_with)
        self.events.failure = source.failure

    def note_sent(self) -> None:
        """Remember what the work sees, as it is now; once."""
        # Now, and while the work has begun: of a cell in the background the notebook runs on.
        if self._sent is None:
            self._sent = Sent(self._begun.admitted, self.dispatch.key, self._cell.namespace)

    def look(self) -> bool:
        """Wait for the first chunk; whether it shows that the loop is the kernel's."""
        if self._sends_nothing_of_ours():
            self.dispatch.send_all()
        self.note_sent()
        try:
            flight = self.dispatch.next_flight(self._tick)
        except UnsendableValue as error:
            if self.dispatch.has_shown or not self._goes_back_for(str(error), [], 0):
                raise
            return True
        self._first = [flight]
        return flight is not None and self._goes_back_at(flight)

    def _sends_nothing_of_ours(self) -> bool:
        """Whether no code of the notebook's runs in this process by sending what comes first."""
        begun = self._begun
        is_apart = self._cell.engine().is_apart
        return is_apart and begun.source.is_range and begun.admitted.shadow is None

    def _taken(self) -> Flight | None:
        """The oldest chunk; None if all are through, or if the kernel is to do them."""
        if self._begun.goes_back:
            return None
        if self._first:
            return self._first.pop()
        flight = self.dispatch.next_flight(self._tick)
        return None if flight is not None and self._goes_back_at(flight) else flight

    def _goes_back_at(self, flight: Flight) -> bool:
        """Whether a chunk shows that it, and what follows, is the kernel's."""
        retreat = self._begun.retreat
        if retreat is None or flight.early.has_begun(0):
            return False
        why = retreat.shown_by(flight.log, first=not self._begun.report.iterations)
        return bool(why) and self._goes_back_for(why, flight.batch.items, flight.first)

    def _goes_back_for(self, why: str, items: Sequence[Any], first: int) -> bool:
        """The same, given a reason for it, and the items of that chunk."""
        retreat = self._begun.retreat
        left = [*items, *self.dispatch.items()]
        if retreat is None or not retreat.is_possible(left):
            return False
        self.dispatch.end()
        if self.dispatch.has_acted(first):
            return False
        retreat.reason, retreat.left = why, left
        return True

    def _is_over(self, flight: Flight) -> bool:
        """Take note of a chunk whose commits are done; whether the loop ends with it."""
        events, report, log = self.events, self._begun.report, flight.log
        done = events.index + 1
        self._telling.committed(flight, done)
        if events.failure is not None:
            return True
        if events.broken and self._begun.admitted.split.speculates:
            return True
        events.log = None
        report.iterations += done
        report.resumed += done if flight.former else 0
        report.chunks += 1
        report.work += log.timing.seconds
        self._laps.take(log, flight.count)
        self._temporaries.chunk_done(log, events.skipped)
        return events.broken

    def _tick(self) -> None:
        self._telling.tick(self.dispatch.standing)

    def _look_for_brevity(self, flight: Flight) -> None:
        if (brevity := self._begun.brevity) is not None:
            if brevity.seen_in(flight.log, flight.count):
                self.dispatch.send_no_more()
            self.dispatch.largest = brevity.largest

    def _check(self, flight: Flight) -> None:
        lost, refused = flight.log.lost_write, flight.log.refused
        where = Span(flight.first, flight.count).named(Unit.ITERATION)
        if refused:
            raise refused_chunk(self._line, where, refused)
        if lost:
            raise lost_write(self._line, lost, where)
        if not self._reads_items:
            return
        if (index := self._begun.source.changed(flight.batch)) is not None:
            raise item_changed(self._line, flight.first + index)

    def _check_draws(self) -> None:
        """In a process that they share, the work can't tell its own draws from the commits'."""
        if self._draws is not None and (module := self._draws.moved()):
            raise shared_draws(self._line, module)

    # -- the end -------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Look whether a loop statement has ended as it should."""
        self.check_shadow()
        self._failures.raise_all(self._begun.report.iterations)

    def check_shadow(self) -> None:
        """Look whether what was stepped ahead has ended where the commits have left it."""
        if self._through and (shadow := self._begun.admitted.shadow) is not None:
            shadow.check_end(self._cell.namespace)

    @contextmanager
    def finished(self, telling: Telling) -> Iterator[None]:
        """Around the run: whatever ends it, it's brought to its end."""
        self._telling = telling
        checked = False
        with self._cell.engine().streams():
            try:
                yield
                checked = True
            except BaseException as error:
                # Whatever ends it, be it `any` that has enough, or an interrupt: what is committed
                # must not come from what the work has changed.
                checked = not isinstance(error, MpmagicError | Stopped) or self._is_raised(error)
                self.note_origin(error)
                raise
            finally:
                self._finish(checked=checked)

    def _finish(self, *, checked: bool) -> None:
        events, source, ranges = self.events, self._begun.source, self._begun.ranges
        self._cell.inbox.leave_user_code()
        self._telling.ended()
        if events.log is not None:
            self._stop_within(events.log)
        self._temporaries.write(self._cell.namespace)
        self.dispatch.end()
        if not self._begun.is_the_kernels:
            source.let_go()
        if ranges is not None:
            ranges.close()
            if not self._through:
                ranges.leave_after(self._begun.report.iterations + events.is_within)
        if checked and (self._begun.report.iterations or not self._begun.goes_back):
            self._check_captured()

    def _stop_within(self, log: Log) -> None:
        """The loop ended inside a chunk: by a commit, or where its log ends."""
        events = self.events
        self._begun.report.iterations += max(events.index, 0)
        ended = events.event is not None and events.event[0] < 0
        if ended and not self._begun.admitted.split.speculates:
            self._temporaries.chunk_done(log, events.skipped)
        else:
            self._temporaries.stopped(log, events.index, events.event, events.skipped)

    def _is_raised(self, error: BaseException) -> bool:
        """Whether the work has raised it: it may be one of mpmagic's, of a cell within the cell."""
        return error is self.events.raised

    def _is_the_cells(self, error: BaseException) -> bool:
        """Whether the cell's own code raised."""
        own = isinstance(error, Exception) and not isinstance(error, MpmagicError)
        return own or self._is_raised(error)

    def note_origin(self, error: BaseException) -> None:
        """Remember in which iteration an exception of the cell's own was raised."""
        events = self.events
        if error is self._begun.source.failure or not self._is_the_cells(error):
            return
        if events.log is None or not events.is_within:
            return
        where = self._cell.worker_named(events.log.timing.pid) if error is events.raised else ""
        flight = events.flight
        item, number = flight.batch.items[events.index], flight.first + events.index
        target = self._begun.planned.loop.target
        origin = Origin.of_iteration(number, target, item, where, tries=flight.tries)
        self._cell.origins.note(error, origin)

    def _check_captured(self) -> None:
        if (shadow := self._begun.admitted.shadow) is not None:
            shadow.check_sources()
        asked = self.dispatch.ask_what_changed()
        what = "" if self._sent is None else self._sent.changed()  # while they look at theirs
        answers = [] if asked is None else asked.answers()
        found = [name for a in answers if a.exception() is None for name in a.result()]
        if found:
            raise lost_write(self._line, f"changed `{found[0]}`", "seen when the loop was over")
        if what:
            raise inputs_changed(self._line, what)
