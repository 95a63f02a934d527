"""A split loop while it runs: chunks out, logs in, commits in order.

::

    iterable --> ItemSource --> chunks --> Executor --> logs --> replay --> the commits' code
                 (in order,     (run_chunk             (oldest
                  ahead)         in workers)            first)

The kernel's half of the loop iterates over `LoopRun.replay`, which hands it one event after the
other and meanwhile keeps the workers supplied.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.residents import first_read
from mpmagic.cell.split import BREAK, DELETED, START
from mpmagic.cell.tallied import tallied
from mpmagic.errors import LostWrite, MpmagicError, UnsendableValue
from mpmagic.pool import Parcel, in_worker
from mpmagic.run.admission import StaysInKernel, admit
from mpmagic.run.brevity import Brevity
from mpmagic.run.combined import Combined, can_combine
from mpmagic.run.complaints import (
    inputs_changed,
    left_in_workers,
    lost_write,
    refused_chunk,
    unsendable_value,
)
from mpmagic.run.context import CellContext
from mpmagic.run.disguised import Disguised
from mpmagic.run.dispatch import Dispatch, Flight, pack_program
from mpmagic.run.drawn import Drawn
from mpmagic.run.failure import Failure, unpack_failure
from mpmagic.run.figures import open_again
from mpmagic.run.log import RAISE, SHOWN, SIGNALS, TEXT, UNSENDABLE, Log
from mpmagic.run.observer import Span, Unit
from mpmagic.run.options import LoopReport
from mpmagic.run.origins import Origin
from mpmagic.run.packed import digest
from mpmagic.run.ranges import ranges_of
from mpmagic.run.replayed import replay_aside
from mpmagic.run.sent import Sent
from mpmagic.run.source import ItemSource
from mpmagic.run.speculation import Outcome, raise_as_here, take
from mpmagic.run.tape import play
from mpmagic.run.telling import Telling
from mpmagic.run.temporaries import Temporaries
from mpmagic.run.tidying import tidy
from mpmagic.run.tries import Failures, check_passing
from mpmagic.run.work import Drained

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
        """What the cell's code is to see of an error: the work may have raised it itself."""
        return error if error is self._raised else self._cell.fence.stop(error)

    def _run(self) -> bool:
        half = self._admitted.split.commit
        assert half is not None
        self._begin_telling()
        self._read_ranges()
        commit = types.FunctionType(half.code, self._cell.namespace)
        self._start()
        with self._finished():
            with self._cell.inbox:
                commit(self, self._replayed, self._failed)
            if self._failure is not None:
                raise self._failure
            self._check_shadow()
            self._failures.raise_all(self._report.iterations)
        return not self._broken

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """Run a comprehension: pairs of an item and the event of an element."""
        return self._cell.begun(self._fenced_rows())

    def _fenced_rows(self) -> Generator[tuple[Any, Any]]:
        try:
            yield from self._rows()
        except MpmagicError as error:
            raise self._fenced(error) from None

    def _rows(self) -> Iterator[tuple[Any, Any]]:
        self._begin_telling()
        self._read_ranges()
        self._start()
        item: Any = None
        with self._finished():
            with self._cell.inbox:
                for event in self.replay():
                    if event[0] == START:
                        item = event[1]
                    else:
                        yield item, event
            self._check_shadow()
            stopped = isinstance(self._failure, StopIteration)
            if self._failure is not None and not stopped:
                raise self._failure
        if self._failure is not None:
            self._note_origin(self._failure)
            yield item, _Raising(self._failure)

    def _check_shadow(self) -> None:
        if self._through and self._admitted.shadow is not None:
            self._admitted.shadow.check_end(self._cell.namespace)

    def tidy(self) -> None:
        """Take our frames out of the exception that leaves the loop, as handlers are to see it."""
        error = sys.exception()
        assert error is not None
        self._cell.leave(error)
        tidy(error)

    # -- what the commits' code calls ------------------------------------------------------------

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.replay()

    def skip(self) -> None:
        """A commit said ``continue``."""
        self._skipping = True
        assert self._event is not None
        self._skipped[self._index] = self._event

    def stop(self) -> None:
        """A commit said ``break``."""
        self._broken = True

    def give(self, position: int) -> Any:
        """A commit has come to what was run ahead: do what that did, and give its value."""
        event = self._event
        assert event is not None
        outcome: Outcome = event[position + 1]
        piece = self._admitted.split.sites[event[0]].pieces[position]
        try:
            stuck = take(outcome, piece, self._cell.namespace)
        except UnsendableValue as error:
            raise self._fenced(error) from None
        if outcome.failure is not None:
            raise_as_here(self._remote(outcome.failure))
        if stuck is not None:
            unsendable = (UNSENDABLE, event[0], position, stuck.kind, stuck.reason)
            raise self._fenced(self._unsendable(unsendable, self._flight))
        return outcome.values[0] if outcome.values else None

    def leaps(self, number: int) -> bool:
        """Whether a commit moves a generator on to where a draw has left it ahead."""
        return self._drawn.leaps(self._index, number)

    def leapt(self, number: int) -> Any:
        """A commit moves it on; what was drawn."""
        return self._drawn_again(self._drawn.leapt, number)

    def drew(self, number: int, value: Any) -> Any:
        """A commit has made a draw from the generator itself: it must be what was made ahead."""
        return self._drawn_again(self._drawn.again, number, value)

    def _drawn_again(self, draw: Callable[..., Any], *arguments: Any) -> Any:
        """What a draw gives that was made ahead; no handler gets it if that was another."""
        try:
            return draw(self._index, *arguments)
        except LostWrite as error:
            raise self._fenced(error) from None

    @property
    def _drawn(self) -> Drawn:
        assert self._flight.drawn is not None
        return self._flight.drawn

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

    def _start(self) -> None:
        self._broken = self._skipping = self._through = False
        self._log: Log | None = None
        self._index = 0
        # The commit that is under way, or what ended the loop; None between iterations.
        self._event: tuple[Any, ...] | None = None
        self._skipped: dict[int, tuple[Any, ...]] = {}
        # Raised when the generator that replays is over: in it a StopIteration would be lost.
        self._failure: BaseException | None = None
        # The last one that came from a worker.
        self._raised: BaseException | None = None
        split = self._admitted.split
        names = tuple(sorted(split.private))
        self._temporaries = Temporaries(names, split)
        self._dispatch = Dispatch(self._admitted, names, self._source, self._cell)
        self._failures = Failures(self.planned.loop, self._dispatch.tries, self._cell)
        self._sent = Sent(self._admitted, self._dispatch.key, self._cell.namespace)

    def replay(self) -> Iterator[tuple[Any, ...]]:
        """The events of all iterations in order, those that are the commits'."""
        inbox = self._cell.inbox
        while (flight := self._dispatch.next_flight(self._tick)) is not None:
            self._check(flight)
            if self._failures.take(flight, self._source.side):
                continue
            self._flight, self._log = flight, (log := flight.log)
            self._index, self._event = -1, None
            self._skipped.clear()
            self._telling.returned(flight)
            inbox.enter_user_code()
            yield from self._events(log, flight)
            self._cell.fence.check()
            inbox.leave_user_code()
            self._telling.committed(flight, self._index + 1)
            if self._failure is not None or (self._broken and self._admitted.split.speculates):
                return
            self._log = None
            self._report.iterations += self._index + 1
            self._report.resumed += self._index + 1 if flight.former else 0
            self._report.chunks += 1
            self._report.work += log.timing.seconds
            self._temporaries.chunk_done(log, self._skipped)
            if self._broken:
                return
            self._tick()
            if self._brevity is not None and self._brevity.seen_in(log, flight.count):
                self._dispatch.send_no_more()
        if self._brevity is not None and self._brevity.found:
            return
        if (shadow := self._admitted.shadow) is not None and shadow.ended:
            self._failure = shadow.failure
            return
        self._through = True
        self._cell.observer.make_way()
        play(self._source.ended_with)
        self._failure = self._source.failure

    def _events(self, log: Log, flight: Flight) -> Iterator[tuple[Any, ...]]:
        items, preludes, early = flight.batch.items, flight.batch.preludes, flight.early
        idle = _idle_probes(log.events, self._admitted.split.probes)
        for number, event in enumerate(log.events):
            code = event[0]
            if code >= 0:
                if not self._skipping and number not in idle:
                    ended, self._event = self._event if self._broken else None, event
                    yield event
                    self._event = ended or event
            elif code == START:
                if self._broken:
                    return
                self._skipping = False
                self._event = None
                self._index += 1
                if self._index in preludes and not early.has_begun(self._index):
                    play(preludes[self._index])
                yield (START, items[self._index])
            elif self._skipping and code not in (UNSENDABLE, SIGNALS):
                continue
            elif code == DELETED:
                self._temporaries.deleted(event[1])
            elif code in (TEXT, SHOWN):
                play([early.rest(event)])
            elif code == BREAK:
                self._broken = True  # what `finally` commits on the way out still follows
                self._event = event
            elif code == RAISE:
                self._event = event
                self._failure = self._remote(event[1])
                open_again(log.left)
                return
            elif code == UNSENDABLE:
                raise self._unsendable(event, flight)
            else:
                replay_aside(event, self._cell.namespace)

    def _remote(self, packed: Any) -> BaseException:
        self._raised = unpack_failure(packed, self._source.side)
        return self._raised

    def _failed(self, failure: Failure) -> BaseException:
        """The exception of the beginning of a ``try``, for the kernel to raise."""
        return self._remote(failure)

    def _replayed(self, drained: Drained) -> Iterator[Any]:
        """The elements of a generator that the worker exhausted, and what ended it."""
        yield from drained.elements
        if drained.failure is not None:
            raise self._remote(drained.failure)

    def _unsendable(self, event: tuple[Any, ...], flight: Flight) -> UnsendableValue:
        _, site, position, kind, reason = event
        operands = self._admitted.split.sites[site].operands if site >= 0 else ()
        iteration = flight.first + self._index
        return unsendable_value(operands, position, iteration, kind=kind, reason=reason)

    def _check(self, flight: Flight) -> None:
        lost, refused = flight.log.lost_write, flight.log.refused
        line = self.planned.loop.lineno
        where = Span(flight.first, flight.count).named(Unit.ITERATION)
        if refused:
            raise refused_chunk(line, where, refused)
        if lost:
            raise lost_write(line, lost, where)

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
                checked = self._is_the_cells(error)
                self._note_origin(error)
                raise
            finally:
                self._finish(checked=checked)

    def _finish(self, *, checked: bool) -> None:
        inbox = self._cell.inbox
        inbox.leave_user_code()
        self._telling.ended()
        within = self._log is not None and self._index >= 0
        if self._log is not None:
            self._stop_within(self._log)
        self._temporaries.write(self._cell.namespace)
        self._dispatch.end()
        if self._brevity is None or not self._brevity.found:
            self._source.let_go()
        if self._ranges is not None:
            self._ranges.close()
            if not self._through:
                self._ranges.leave_after(self._report.iterations + within)
        if checked:
            self._check_captured()

    def _stop_within(self, log: Log) -> None:
        """The loop ended inside a chunk: by a commit, or where its log ends."""
        self._report.iterations += max(self._index, 0)
        ended = self._event is not None and self._event[0] < 0
        if ended and not self._admitted.split.speculates:
            self._temporaries.chunk_done(log, self._skipped)
        else:
            self._temporaries.stopped(log, self._index, self._event, self._skipped)

    def _is_the_cells(self, error: BaseException) -> bool:
        """Whether the cell's own code raised: what the work changed by then must not be lost."""
        if error is self._raised:
            return True
        return isinstance(error, Exception) and not isinstance(error, MpmagicError)

    def _note_origin(self, error: BaseException) -> None:
        """Remember in which iteration an exception of the cell's own was raised."""
        if error is self._source.failure or not self._is_the_cells(error):
            return
        if self._log is None or self._index < 0:
            return
        where = self._cell.worker_named(self._log.timing.pid) if error is self._raised else ""
        item = self._flight.batch.items[self._index]
        number, target = self._flight.first + self._index, self.planned.loop.target
        origin = Origin.of_iteration(number, target, item, where, tries=self._flight.tries)
        self._cell.origins.note(error, origin)

    def _check_captured(self) -> None:
        line, changed = self.planned.loop.lineno, self._dispatch.changed_in_workers()
        if changed:
            raise lost_write(line, f"changed `{changed[0]}`", "seen when the loop was over")
        if self._sent.changed():
            raise inputs_changed(line)


def _idle_probes(events: Sequence[tuple[Any, ...]], probes: Collection[int]) -> set[int]:
    """Positions of probes that needn't run: what comes after them neither raises nor writes."""
    if not probes:
        return set()
    idle, calm = set(), True
    for number in range(len(events) - 1, -1, -1):
        if events[number][0] not in probes:
            calm = events[number][0] >= 0
        elif calm:
            idle.add(number)
    return idle
