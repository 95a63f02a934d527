"""A split loop while it runs: chunks out, logs in, commits in order.

::

    iterable --> ItemSource --> chunks --> Executor --> logs --> replay --> the commits' code
                 (in order,     (run_chunk             (oldest
                  ahead)         in workers)            first)

The kernel's half of the loop iterates over `LoopRun.replay`, which hands it one event after the
other and meanwhile keeps the workers supplied.
"""

from __future__ import annotations

import types
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.residents import first_read
from mpmagic.cell.vocabulary import START
from mpmagic.errors import MpmagicError
from mpmagic.pool import Parcel, in_worker
from mpmagic.run.admission import StaysInKernel, admit
from mpmagic.run.brevity import Brevity
from mpmagic.run.complaints import (
    inputs_changed,
    item_changed,
    left_in_workers,
    lost_write,
    refused_chunk,
    shared_draws,
)
from mpmagic.run.context import CellContext
from mpmagic.run.disguised import Disguised
from mpmagic.run.dispatch import Dispatch, Flight
from mpmagic.run.events import Events, tidy_raised
from mpmagic.run.fence import Stopped
from mpmagic.run.globalstreams import DrawWatch
from mpmagic.run.log import Log
from mpmagic.run.observer import Span, Unit
from mpmagic.run.options import LoopReport
from mpmagic.run.origins import Origin
from mpmagic.run.packed import digest
from mpmagic.run.packing import followed_by, pack_program
from mpmagic.run.past import Laps
from mpmagic.run.ranges import ranges_of
from mpmagic.run.scheduled import Scheduled, schedule_of
from mpmagic.run.sent import Sent
from mpmagic.run.source import ItemSource
from mpmagic.run.tape import play
from mpmagic.run.telling import Telling
from mpmagic.run.temporaries import Temporaries
from mpmagic.run.tries import Failures, check_passing
from mpmagic.run.trivial import TRIVIAL, is_trivial

__all__ = ["LoopRun"]


class _Raising:
    """An event whose operands raise: no generator can raise a StopIteration as it is."""

    def __init__(self, failure: BaseException) -> None:
        self._failure = failure

    def __getitem__(self, index: Any) -> NoReturn:
        raise self._failure


class LoopRun:
    """One loop of a cell; begun anew each time that the cell reaches it.

    Parameters
    ----------
    planned
        The loop; an attribute too.
    cell
        The cell that it is part of.
    """

    def __init__(self, planned: PlannedLoop, cell: CellContext) -> None:
        self.planned = planned
        self._cell = cell
        self._events: Events | None = None
        self.disguised = Disguised(self._stays, self._fenced)

    # -- what the cell's code calls ------------------------------------------------------------

    def begin(self, iterable: Any) -> bool:
        """Whether the loop is split to its end; `items` gives the iterator if not."""
        self._cell.fence.check()
        try:
            return self._begin(iterable)
        except MpmagicError as error:
            raise self._fenced(error) from None

    def _admits(self, iterable: Any) -> bool:
        """Whether the loop can be split, now that its names stand for something."""
        line = self.planned.loop.lineno
        self._cell.look_again()
        self._brevity: Brevity | None = None
        self._ranges = ranges_of(iterable)
        self._source = ItemSource(iterable, self.planned.loop.target)
        try:
            if in_worker():
                raise StaysInKernel("this is a worker already")
            if is_trivial(self.planned, iterable, self._cell):
                raise StaysInKernel(TRIVIAL)
            self._admitted = admit(self.planned, iterable, self._source, self._cell)
            check_passing(self._admitted, self._cell.options)
        except StaysInKernel as reason:
            self._check_residents(reason)
            self._stays(str(reason))
            return False
        self._report = LoopReport(line, total=self._source.remaining)
        self._cell.report.loops.append(self._report)
        self._ended: bool | None = None
        return True

    def _stays(self, reason: str) -> None:
        self._cell.report.stayed.append((self.planned.loop.lineno, reason))

    def _begin(self, iterable: Any) -> bool:
        if not self._admits(iterable):
            return False
        self._brevity = Brevity.of(self.planned, self._admitted, self._source, self._cell)
        if self._brevity is None:
            return True
        # At once, for this is the place from which a loop can go on in the kernel.
        self._ended = self._run()
        return not self._brevity.found

    def _check_residents(self, reason: StaysInKernel) -> None:
        if found := first_read(self.planned.loop, self._cell.lacking(self._cell.residents)):
            raise left_in_workers(self.planned.loop.lineno, found[1], reason)

    def items(self) -> Iterator[Any]:
        """What the loop iterates over when it stays in the kernel, or goes on there."""
        if self._brevity is not None and self._brevity.found:
            return self._report.go_on(self._source.left())
        if self._source.can_be_left:  # a generator would take a fifth of a short iteration
            return self._source.left()
        return self._source.rest()

    def run(self) -> bool:
        """Run a loop statement; whether it ended without a ``break``."""
        if self._ended is not None:
            return self._ended
        try:
            return self._run()
        except MpmagicError as error:
            raise self._fenced(error) from None

    def _fenced(self, error: MpmagicError) -> BaseException:
        """What the cell's code is to see of an error."""
        events = self._events
        return self._cell.fence.stop(error) if events is None else events.fenced(error)

    def _run(self) -> bool:
        half = self._admitted.split.commit
        assert half is not None
        self._begin_telling()
        self._read_ranges()
        commit = types.FunctionType(half.code, self._cell.namespace)
        events = self._start()
        with self._finished():
            with self._cell.inbox:
                commit(events, events.replayed, events.remote)
            if events.failure is not None:
                raise events.failure
            self._check_shadow()
            self._failures.raise_all(self._report.iterations)
        return not events.broken

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """Run a comprehension: pairs of an item and the event of an element."""
        return self._cell.begun(self._fenced_rows())

    def _fenced_rows(self) -> Generator[tuple[Any, Any]]:
        try:
            yield from self._rows()
        except MpmagicError as error:
            fenced = self._fenced(error)
            if isinstance(error.__context__, GeneratorExit):
                return  # whoever has had enough can't be told; the cell ends with it
            raise fenced from None

    def _rows(self) -> Iterator[tuple[Any, Any]]:
        self._begin_telling()
        self._read_ranges()
        events = self._start()
        item: Any = None
        with self._finished():
            with self._cell.inbox:
                for event in self.replay():
                    if event[0] == START:
                        item = event[1]
                    else:
                        yield item, event
            self._check_shadow()
            stopped = isinstance(events.failure, StopIteration)
            if events.failure is not None and not stopped:
                raise events.failure
        if events.failure is not None:
            self._note_origin(events.failure)
            yield item, _Raising(events.failure)

    def _check_shadow(self) -> None:
        if self._through and self._admitted.shadow is not None:
            self._admitted.shadow.check_end(self._cell.namespace)

    def tidy(self) -> None:
        """Take our frames out of the exception that leaves the loop, as handlers are to see it."""
        tidy_raised(self._cell)

    # -- the run -------------------------------------------------------------------------------

    def _begin_telling(self) -> None:
        self._telling = Telling(self.planned.loop, self._cell.observer, self._report)

    def _tick(self) -> None:
        self._telling.tick(self._dispatch.standing)

    def _read_ranges(self) -> None:
        """Have the workers read the lines of a large file, and sum what can be summed."""
        ranges, split, cell = self._ranges, self._admitted.split, self._cell
        if self._admitted.shadow is not None or cell.options.alone or cell.kept is not None:
            return  # it has to see each line
        if ranges is None or not ranges.open(self._source.first):
            return
        from mpmagic.cell.tallied import tallied
        from mpmagic.run.combined import Combined, can_combine

        form = tallied(self.planned.loop, split, cell.filename) if split.commit else None
        captured = self._admitted.captured
        if form is None or not can_combine(form, captured.values, cell):
            self._source.read_by(ranges)
            return
        program = pack_program(self._admitted, tuple(sorted(split.private)), cell, form)
        parcels = program, Parcel(digest(captured.packed), captured.packed)
        try:
            rest = Combined(form, ranges, parcels, cell, self._report).run()
        except BaseException:
            ranges.close()
            self._telling.ended()
            raise
        self._source.go_on(rest)

    def _start(self) -> Events:
        split = self._admitted.split
        names = tuple(sorted(split.private))
        self._through = False
        self._temporaries = Temporaries(names, split)
        self._laps = Laps()
        self._dispatch = self._dispatched(names)
        if self._brevity is not None:
            self._dispatch.largest = self._brevity.largest
        self._draws = None
        if not self._cell.engine().is_apart:
            self._draws = DrawWatch(followed_by(self._admitted, self._cell))
        # Commits that change the items themselves have been looked at before.
        kept = split.targets & split.kernel_reads
        self._reads_items = bool(kept) and not kept & self._admitted.dependence.whole.mutates.keys()
        self._failures = Failures(self.planned.loop, self._dispatch.tries, self._cell)
        self._sent: Sent | None = None
        self._events = Events(
            self._admitted, self._source.side, self._temporaries, self._cell, self.replay
        )
        return self._events

    def _dispatched(self, names: tuple[str, ...]) -> Dispatch:
        admitted, source, cell = self._admitted, self._source, self._cell
        known = cell.past.seconds(self._key, source.remaining)
        if known is not None and (planned := schedule_of(known, admitted, source, cell)):
            return Scheduled(admitted, names, source, cell, planned=planned)
        dispatch = Dispatch(admitted, names, source, cell)
        if known is not None:
            dispatch.expect(known)
        return dispatch

    @property
    def _key(self) -> tuple[str, int]:
        return self._cell.text, self.planned.number

    @property
    def events(self) -> Events:
        """The events of the run that has begun."""
        assert self._events is not None
        return self._events

    def replay(self) -> Iterator[tuple[Any, ...]]:
        """The events of all iterations in order, those that are the commits'."""
        inbox, events = self._cell.inbox, self.events
        # Now, and while the work has begun: of a cell in the background the notebook runs on.
        self._sent = Sent(self._admitted, self._dispatch.key, self._cell.namespace)
        while (flight := self._dispatch.next_flight(self._tick)) is not None:
            self._check(flight)
            if self._failures.take(flight, self._source.side):
                continue
            events.enter(flight)
            log = flight.log
            self._telling.returned(flight)
            inbox.enter_user_code()
            yield from events.of_chunk()
            self._cell.fence.check()
            self._check_draws()
            inbox.leave_user_code()
            done = events.index + 1
            self._telling.committed(flight, done)
            if events.failure is not None or (events.broken and self._admitted.split.speculates):
                return
            events.log = None
            self._report.iterations += done
            self._report.resumed += done if flight.former else 0
            self._report.chunks += 1
            self._report.work += log.timing.seconds
            self._laps.take(log, flight.count)
            self._temporaries.chunk_done(log, events.skipped)
            if events.broken:
                return
            self._tick()
            if self._brevity is not None:
                self._look_for(self._brevity, flight)
        if self._brevity is not None and self._brevity.found:
            return
        if (shadow := self._admitted.shadow) is not None and shadow.ended:
            events.failure = shadow.failure
            return
        self._through = True
        self._cell.past.remember(self._key, self._laps)
        self._cell.observer.make_way()
        play(self._source.ended_with)
        events.failure = self._source.failure

    def _look_for(self, brevity: Brevity, flight: Flight) -> None:
        if brevity.seen_in(flight.log, flight.count):
            self._dispatch.send_no_more()
        self._dispatch.largest = brevity.largest

    def _check(self, flight: Flight) -> None:
        lost, refused = flight.log.lost_write, flight.log.refused
        line = self.planned.loop.lineno
        where = Span(flight.first, flight.count).named(Unit.ITERATION)
        if refused:
            raise refused_chunk(line, where, refused)
        if lost:
            raise lost_write(line, lost, where)
        if self._reads_items and (index := self._source.changed(flight.batch)) is not None:
            raise item_changed(line, flight.first + index)

    def _check_draws(self) -> None:
        """In a process that they share, the work can't tell its own draws from the commits'."""
        if self._draws is not None and (module := self._draws.moved()):
            raise shared_draws(self.planned.loop.lineno, module)

    # -- the end -------------------------------------------------------------------------------

    @contextmanager
    def _finished(self) -> Iterator[None]:
        """Around the run: whatever ends it, it's brought to its end."""
        checked = False
        with self._cell.engine().streams():
            try:
                yield
                checked = True
            except BaseException as error:
                # Whatever ends it, be it `any` that has enough, or an interrupt: what is committed
                # must not come from what the work has changed.
                checked = not isinstance(error, MpmagicError | Stopped) or self._is_raised(error)
                self._note_origin(error)
                raise
            finally:
                self._finish(checked=checked)

    def _finish(self, *, checked: bool) -> None:
        inbox = self._cell.inbox
        inbox.leave_user_code()
        self._telling.ended()
        events = self.events
        if events.log is not None:
            self._stop_within(events, events.log)
        self._temporaries.write(self._cell.namespace)
        self._dispatch.end()
        if self._brevity is None or not self._brevity.found:
            self._source.let_go()
        if self._ranges is not None:
            self._ranges.close()
            if not self._through:
                self._ranges.leave_after(self._report.iterations + events.is_within)
        if checked:
            self._check_captured()

    def _stop_within(self, events: Events, log: Log) -> None:
        """The loop ended inside a chunk: by a commit, or where its log ends."""
        self._report.iterations += max(events.index, 0)
        ended = events.event is not None and events.event[0] < 0
        if ended and not self._admitted.split.speculates:
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

    def _note_origin(self, error: BaseException) -> None:
        """Remember in which iteration an exception of the cell's own was raised."""
        events = self.events
        if error is self._source.failure or not self._is_the_cells(error):
            return
        if events.log is None or not events.is_within:
            return
        where = self._cell.worker_named(events.log.timing.pid) if error is events.raised else ""
        flight = events.flight
        item, number = flight.batch.items[events.index], flight.first + events.index
        target = self.planned.loop.target
        origin = Origin.of_iteration(number, target, item, where, tries=flight.tries)
        self._cell.origins.note(error, origin)

    def _check_captured(self) -> None:
        if (shadow := self._admitted.shadow) is not None:
            shadow.check_sources()
        line, changed = self.planned.loop.lineno, self._dispatch.changed_in_workers()
        if changed:
            raise lost_write(line, f"changed `{changed[0]}`", "seen when the loop was over")
        if self._sent is not None and (what := self._sent.changed()):
            raise inputs_changed(line, what)
