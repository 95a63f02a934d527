"""A split loop of a cell: what the cell's code calls.

::

    iterable --> ItemSource --> chunks --> Executor --> logs --> Replay --> the commits' code
                 (in order,     (run_chunk             (oldest
                  ahead)         in workers)            first)

The kernel's half of the loop iterates over `Replay.in_order`, which hands it one event after the
other and meanwhile keeps the workers supplied.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any, NoReturn

from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.residents import first_read
from mpmagic.cell.vocabulary import START
from mpmagic.errors import MpmagicError
from mpmagic.pool import Parcel, in_worker
from mpmagic.run.admission import admit
from mpmagic.run.brevity import Brevity
from mpmagic.run.complaints import left_in_workers
from mpmagic.run.context import CellContext
from mpmagic.run.disguised import Disguised
from mpmagic.run.events import Events, tidy_raised
from mpmagic.run.options import LoopReport
from mpmagic.run.packed import digest
from mpmagic.run.packing import pack_program
from mpmagic.run.ranges import ranges_of
from mpmagic.run.replay import ReachedLoop, Replay
from mpmagic.run.retreat import Retreat, restarted
from mpmagic.run.source import ItemSource
from mpmagic.run.stays import StaysInKernel
from mpmagic.run.telling import Telling
from mpmagic.run.tries import check_passing
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

    When it's over it holds nothing of the user's, and nothing that it holds leads back to it: what
    the cell deletes then is gone then, as without us, and not when garbage is collected.

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
        self._source: ItemSource | None = None
        self._begun: ReachedLoop | None = None
        self._replay: Replay | None = None
        self._ended: bool | None = None
        self._again: Iterator[Any] | None = None
        self._looked: Generator[Any] | None = None
        line = planned.loop.lineno
        self.disguised = Disguised(partial(_stays, cell, line), cell.fence.stop)

    # -- what the cell's code calls ------------------------------------------------------------

    def begin(self, iterable: Any) -> bool:
        """Whether the loop is split to its end; `items` gives the iterator if not."""
        self._cell.fence.check()
        try:
            return self._begin(iterable)
        except MpmagicError as error:
            raise self._fenced(error) from None
        except BaseException:
            self._let_go()
            raise

    def _begin(self, iterable: Any) -> bool:
        self._ended = None
        again = restarted(self.planned.loop, iterable, self._cell.namespace)
        if not self._admits(iterable):
            return False
        begun = self._started()
        if again is not None:
            begun.retreat = Retreat.of(self.planned, begun.admitted, begun.source, self._cell)
        splits = self._runs if self.planned.element is None else self._gives
        if splits(begun):
            return True
        if begun.goes_back:
            self._go_back(begun, again)
        return False

    def _runs(self, begun: ReachedLoop) -> bool:
        """Whether a loop statement is the workers' to its end."""
        begun.brevity = Brevity.of(self.planned, begun.admitted, begun.source, self._cell)
        if begun.brevity is None and begun.retreat is None:
            return True
        # At once, for this is the place from which a loop can go on in the kernel.
        self._ended = self._run()
        if begun.is_the_kernels:
            return False
        self._let_go()
        return True

    def _gives(self, begun: ReachedLoop) -> bool:
        """Whether a comprehension's elements are the workers'."""
        if begun.retreat is None or not self.planned.at_once:
            self._replay = self._start()
            self._replay.note_sent()
            return True
        self._look()
        return not begun.goes_back

    def _look(self) -> None:
        """Wait for the first chunk of a comprehension, whose events are asked for next."""
        rows = self._cell.begun(self._fenced_rows(looks=True))
        if next(rows):
            rows.close()
        else:
            self._looked = rows

    def _go_back(self, begun: ReachedLoop, again: Iterator[Any] | None) -> None:
        """Let all of the loop that isn't committed be the kernel's, as if it had never left."""
        retreat, report, source = begun.retreat, begun.report, begun.source
        assert retreat is not None
        self._let_go()
        if report.iterations:
            where = f"{retreat.reason}, from iteration {report.iterations} on"
            report.total = report.iterations
            rest = source.left() if source.can_be_left else source.rest()
            again = itertools.chain(retreat.left, rest)
        else:
            where, loops = retreat.reason, self._cell.report.loops
            loops[:] = [other for other in loops if other is not report]
        _stays(self._cell, self.planned.loop.lineno, where)
        self._again = again

    def _admits(self, iterable: Any) -> bool:
        """Whether the loop can be split, now that its names stand for something."""
        line = self.planned.loop.lineno
        self._cell.look_again()
        self._let_go()
        source = self._source = ItemSource(iterable, self.planned.loop.target)
        ranges = ranges_of(iterable)
        try:
            if in_worker():
                raise StaysInKernel("this is a worker already")
            if is_trivial(self.planned, iterable, self._cell):
                raise StaysInKernel(TRIVIAL)
            admitted = admit(self.planned, iterable, source, self._cell)
            check_passing(admitted, self._cell.options)
        except StaysInKernel as reason:
            self._check_residents(reason)
            _stays(self._cell, line, str(reason))
            return False
        report = LoopReport(line, total=source.remaining)
        self._cell.report.loops.append(report)
        self._begun = ReachedLoop(self.planned, admitted, source, report, ranges)
        return True

    def _check_residents(self, reason: StaysInKernel) -> None:
        if found := first_read(self.planned.loop, self._cell.lacking(self._cell.residents)):
            raise left_in_workers(self.planned.loop.lineno, found[1], reason)

    def items(self) -> Iterator[Any]:
        """What the loop iterates over when it stays in the kernel, or goes on there."""
        again, self._again = self._again, None
        if again is not None:
            return again
        begun, source = self._begun, self._source
        assert source is not None
        self._let_go()
        if begun is not None:
            return begun.report.go_on(source.left())
        if source.can_be_left:  # a generator would take a fifth of a short iteration
            return source.left()
        return source.rest()

    def run(self) -> bool:
        """Run a loop statement; whether it ended without a ``break``."""
        if self._ended is not None:
            return self._ended
        try:
            return self._run()
        except MpmagicError as error:
            raise self._fenced(error) from None
        finally:
            self._let_go()

    def _fenced(self, error: MpmagicError) -> BaseException:
        """What the cell's code is to see of an error that ends the loop."""
        if self._replay is None:
            return self._cell.fence.stop(error)
        fenced = self.events.fenced(error)
        self._let_go()
        return fenced

    def _run(self) -> bool:
        begun = self._started()
        half = begun.admitted.split.commit
        assert half is not None
        telling = self._telling()
        self._read_ranges(telling)
        commit = types.FunctionType(half.code, self._cell.namespace)
        replay = self._replay = self._start()
        events = replay.events
        with replay.finished(telling):
            events.begin(replay.in_order())
            with self._cell.inbox:
                commit(events, events.replayed, events.remote)
            if events.failure is not None:
                raise events.failure
            replay.check_end()
        return not events.broken

    def rows(self) -> Iterator[tuple[Any, Any]]:
        """Run a comprehension: pairs of an item and the event of an element."""
        looked, self._looked = self._looked, None
        return looked or self._cell.begun(self._fenced_rows())

    def _fenced_rows(self, *, looks: bool = False) -> Generator[Any]:
        try:
            yield from self._rows(looks=looks)
        except MpmagicError as error:
            fenced = self._fenced(error)
            if isinstance(error.__context__, GeneratorExit):
                return  # whoever has had enough can't be told; the cell ends with it
            raise fenced from None
        finally:
            self._let_go()

    def _rows(self, *, looks: bool) -> Iterator[Any]:
        """The rows; before them, if it `looks`, whether the first chunk shows that it goes back."""
        telling = self._telling()
        self._read_ranges(telling)
        replay = self._replay = self._replay or self._start()
        events = replay.events
        item: Any = None
        with replay.finished(telling):
            with self._cell.inbox:
                if looks:
                    yield replay.look()
                for event in replay.in_order():
                    if event[0] == START:
                        item = event[1]
                    else:
                        yield item, event
            replay.check_shadow()
            stopped = isinstance(events.failure, StopIteration)
            if events.failure is not None and not stopped:
                raise events.failure
        if events.failure is not None:
            replay.note_origin(events.failure)
            yield item, _Raising(events.failure)

    @property
    def events(self) -> Events:
        """Those of the run that is under way, which the elements of a comprehension ask."""
        assert self._replay is not None
        return self._replay.events

    def tidy(self) -> None:
        """Take our frames out of the exception that leaves the loop, as handlers are to see it."""
        tidy_raised(self._cell)

    # -- its beginning and its end -------------------------------------------------------------

    def _started(self) -> ReachedLoop:
        """The loop that is split."""
        assert self._begun is not None
        return self._begun

    def _telling(self) -> Telling:
        return Telling(self.planned.loop, self._cell.observer, self._started().report)

    def _start(self) -> Replay:
        return Replay(self._started(), self._cell)

    def _let_go(self) -> None:
        if self._replay is not None:
            self._replay.events.forget()
        self._source = self._begun = self._replay = None

    def _read_ranges(self, telling: Telling) -> None:
        """Have the workers read the lines of a large file, and sum what can be summed."""
        begun, cell = self._started(), self._cell
        ranges, admitted, source = begun.ranges, begun.admitted, begun.source
        if admitted.shadow is not None or cell.options.alone or cell.kept is not None:
            return  # it has to see each line
        if ranges is None or not ranges.open(source.first):
            return
        from mpmagic.cell.tallied import tallied
        from mpmagic.run.combined import Combined, can_combine

        split, captured = admitted.split, admitted.captured
        form = tallied(self.planned.loop, split, cell.filename) if split.commit else None
        if form is None or not can_combine(form, captured.values, cell):
            source.read_by(ranges)
            return
        program = pack_program(admitted, tuple(sorted(split.private)), cell, form)
        parcels = program, Parcel(digest(captured.packed), captured.packed)
        try:
            rest = Combined(form, ranges, parcels, cell, begun.report).run()
        except BaseException:
            ranges.close()
            telling.ended()
            raise
        source.go_on(rest)


def _stays(cell: CellContext, line: int, reason: str) -> None:
    cell.report.stayed.append((line, reason))
