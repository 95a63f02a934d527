"""A loop's chunks: sent to the workers, a bounded number ahead, and taken back oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from time import perf_counter
from typing import Any, Final

from mpmagic.errors import EachFailed, EngineError, UnsendableValue, WorkerDied
from mpmagic.pool import Parcel
from mpmagic.run.admission import Admitted
from mpmagic.run.audited import next_run
from mpmagic.run.chunking import Chunking
from mpmagic.run.codec import decode
from mpmagic.run.context import CellContext
from mpmagic.run.engine import Asking, has_acted, recall
from mpmagic.run.finder import Finder
from mpmagic.run.flight import Flight, Roots
from mpmagic.run.keptloop import Former
from mpmagic.run.lasting import classes_adopted
from mpmagic.run.live import Early
from mpmagic.run.log import Chunk, Log
from mpmagic.run.observer import UNTIMED, Span, Standing, Unit
from mpmagic.run.packed import digest
from mpmagic.run.packing import pack_program
from mpmagic.run.source import Batch, ItemSource
from mpmagic.run.tries import Tries
from mpmagic.run.trip import Trip, standing
from mpmagic.run.watch import are_plain
from mpmagic.run.work import check_program, run_chunk

__all__ = ["LOOKED_AT_EACH", "Dispatch"]

_BUFFERED_BYTES: Final = 512 << 20
"""Results that may wait for an older chunk before no more work is sent."""

_LOOKED_AT_ONCE: Final = 1 << 20
"""Pickled values of which the first chunk's worker sees already whether its work has changed them.

That takes as long as to pickle them, 20 ms for each of these: larger ones can wait for the end.
"""


LOOKED_AT_EACH: Final = 1 << 14
"""With their buffers; of so little each chunk's: 0.3 ms, of a millisecond or more that it costs."""

_PULLING_SECONDS: Final = 0.05
"""How long a chunk that is back, or an idle worker, waits for an iterable that takes its time."""


class Dispatch:
    """Keeps the workers of one loop supplied.

    Parameters
    ----------
    admitted
        The loop.
    private
        Names that the work binds in the notebook, in the order of snapshots.
    source
        Its items.
    cell
        The cell.

    Attributes
    ----------
    key
        The digest of the captured values.
    largest
        How many iterations a chunk may have; None if its work alone decides.
    """

    def __init__(
        self, admitted: Admitted, private: tuple[str, ...], source: ItemSource, cell: CellContext
    ) -> None:
        self._cell = cell
        self._source, self._shadow = source, admitted.shadow
        self._engine = cell.engine()
        cost = self._engine.chunk_cost
        fixed = 1 if cell.options.alone else cell.options.chunk
        self._chunking = Chunking(cell.workers, fixed, cost=cost)
        # An earlier run that is gone on with has cut the items in its way.
        self._patience = None if fixed or cell.kept is not None else _PULLING_SECONDS
        self.largest: int | None = None
        self.tries = Tries(admitted, cell.options)
        self._flights: deque[Flight] = deque()
        self._sends = True
        self._next = 0
        self._run = next_run()
        captured = admitted.captured
        self.key = digest(captured.packed)
        self._captured = Parcel(self.key, captured.packed)
        self._program = pack_program(admitted, private, cell)
        self._watched = admitted.watched
        options = cell.options
        # A worker that has died can't be asked at the end, nor one of an earlier run.
        survives = bool(options.retries) or options.keep_going or cell.kept is not None
        self._looks_each = survives or not self._engine.asks_each
        self._is_small = len(captured.packed.data) <= _LOOKED_AT_ONCE
        self._is_tiny = captured.packed.nbytes <= LOOKED_AT_EACH
        self._kept = (
            None if cell.kept is None else cell.kept.loop(admitted, private, source.side.nans)
        )

    def expect(self, laps: Sequence[float]) -> None:
        """Take for granted, to begin with, that iterations take what they took the last time."""
        if laps:
            self._chunking.expect(laps)

    def next_flight(self, tick: Callable[[], object]) -> Flight | None:
        """Wait for the oldest chunk and take its log; None when all are through.

        Parameters
        ----------
        tick
            Is called now and then while it waits, if the cell's observer wants that.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts the wait.
        WorkerDied
            If its worker died.
        """
        self._refill()
        if not self._flights:
            return None
        flight = self._flights[0]
        while True:
            while not flight.future.done():
                self._wait_for_change(flight, tick)
                self._refill()
            flight.log = self._opened(flight)
            if not self.tries.wants_another(flight, self._source.side):
                break
            self._send_again(flight)
        self._flights.popleft()
        if flight.error is not None and not self.tries.passes_over:
            flight.error.args = (f"{flight.error} The iterations before are committed.",)
            raise flight.error
        self._learn(flight)
        self._refill()
        return flight

    def _wait_for_change(self, oldest: Flight, tick: Callable[[], object]) -> None:
        before, arrived = self._under_way(), oldest.early.arrived
        self._cell.inbox.wait_until(
            lambda: oldest.future.done() or self._under_way() < before or bool(arrived),
            pause=self._cell.observer.pause,
            tick=tick,
        )
        if arrived:
            self._cell.observer.make_way()
            oldest.early.show(oldest.batch.preludes)

    def standing(self) -> Standing:
        """How far the loop has come."""
        missing = [f for f in self._flights if not f.future.done()]
        away = {f.future: Span(f.first, f.count) for f in missing if f.is_sent}
        done = self._next - sum(f.count for f in missing)
        spare = self._cell.workers - len(away) if self._source.exhausted else 0
        found = standing(self._engine, away, done, unit=Unit.ITERATION, spare=spare)
        return found._replace(share=self._source.share)

    def _opened(self, flight: Flight) -> Log:
        flight.error = self.tries.ended(flight)
        if flight.error is not None:
            return Log()
        try:
            packed = flight.future.result()
        except (WorkerDied, EngineError, EachFailed) as died:
            died.args = (f"{died} The iterations before are committed.",)
            raise
        try:
            roots = Roots(self._source.side.captured, flight.batch.items)
            with classes_adopted(flight.former.classes if flight.former else {}):
                log: Log = decode(packed, self._source.side, Finder(roots))
        except Exception as error:
            raise UnsendableValue(
                f"a result of iteration {flight.first} and those after it can't be unpickled "
                f"({type(error).__name__}: {error}); the iterations before it are committed"
            ) from error
        if flight.former:
            assert self._kept is not None
            self._kept.renamed(log, flight.former)
            log.timing, log.samples = UNTIMED, None
        return log

    def _learn(self, flight: Flight) -> None:
        if not flight.counted and not flight.former:
            self._chunking.learn(flight.count, flight.log.timing.seconds)
            flight.counted = True

    def _under_way(self) -> int:
        return sum(f.is_sent and not f.future.done() for f in self._flights)

    def _has_much_waiting(self) -> bool:
        """Whether so much waits for an older chunk that no more work may be sent."""
        results = (f.future for f in self._flights if f.future.done() and not f.future.cancelled())
        drawn: int = sum(f.drawn.nbytes for f in self._flights if f.drawn is not None)
        waiting: int = sum(f.result().nbytes for f in results if f.exception() is None)
        return drawn + waiting > _BUFFERED_BYTES

    def send_all(self) -> None:
        """Send all there is, to an engine that takes it."""
        while self._refill():
            pass

    def items(self) -> list[Any]:
        """Those of all chunks under way."""
        return [item for flight in self._flights for item in flight.batch.items]

    def progress(self) -> tuple[int, int]:
        """Iterations whose work is done, and those that were sent."""
        done = sum(flight.count for flight in list(self._flights) if flight.future.done())
        return done, self._next

    def send_no_more(self) -> None:
        """Let what is under way be the last that is sent."""
        self._sends = False

    def _refill(self) -> bool:
        """Send what may be under way; whether it stops before that, for a chunk that is back."""
        if not self._sends:
            return False
        limit, began = self._engine.most_under_way, perf_counter()
        while self._under_way() < limit and len(self._flights) < 8 * limit:
            if self._has_much_waiting():
                return False
            if self._shadow is not None and self._shadow.ended:
                return False
            batch = self._source.pull(self._size(), seconds=self._patience)
            if batch is None:
                return False
            self._send(batch)
            if self._flights and self._flights[0].future.done():
                if perf_counter() - began > _PULLING_SECONDS:
                    return True
        return False

    def _size(self) -> int:
        size = self._chunking.next_size(self._source.remaining)
        if self.largest is not None:
            size = min(size, self.largest)
        if self._shadow is not None:
            size = min(size, self._shadow.most)
        return size if self._kept is None else self._kept.size(self._next, size)

    def _send(self, batch: Batch) -> None:
        if (flight := self._prepared(batch)) is not None:
            self._launch(flight)

    def _prepared(self, batch: Batch) -> Flight | None:
        """The chunk of the next items, to be sent; None if its iterations may not begin."""
        count, given, drawn = len(batch.items), None, None
        if self._shadow is not None:
            given, drawn = self._shadow.give(batch.items)
            count = given.count
            if self._shadow.ended:
                batch.last = True
            if not count:
                return None
        looks = self._looks_each or self._is_tiny or (self._next == 0 and self._is_small)
        check = batch.mutable or (self._watched and looks)
        if not self._watched and not isinstance(batch.items, range):
            check = check or not are_plain(batch.items)  # a function among them may change anything
        options = self._cell.options
        last = batch.last or options.keep_going  # it may be the last one that succeeds
        timed = options.timeout is not None
        chunk = Chunk(
            self._next, batch.packed, count, last, check, batch.mutable, given, timed, self._run
        )
        unsent = Future[Any]()
        trip = Trip(unsent)
        flight = Flight(self._next, count, batch, unsent, Log(), Early(), trip, chunk, drawn)
        self._flights.append(flight)
        self._next += count
        return flight

    def _launch(self, flight: Flight) -> None:
        future, flight.former = self._begun(flight)
        self._sent(flight, future)

    def _sent(self, flight: Flight, future: Future[Any]) -> None:
        flight.future, flight.trip, flight.is_sent = future, Trip(future), True
        self._cell.inbox.watch(future)

    def _begun(self, flight: Flight) -> tuple[Future[Any], Former | None]:
        """The future log of a chunk; and the run that has kept it."""
        chunk, early = flight.chunk, flight.early
        if self._kept is None:
            return self._submit(chunk, early, tries=0), None
        key = self._kept.key(chunk, flight.batch.items[: chunk.count], flight.drawn)
        if (found := self._kept.found(chunk.first, key)) is not None:
            future = Future[Any]()
            future.set_result(found[0])
            return future, found[1]
        future = self._submit(chunk, early, tries=0)
        future.add_done_callback(self._kept.keeps(chunk.first, chunk.count, key))
        return future, None

    def _send_again(self, flight: Flight) -> None:
        self._sent(flight, self._submit(flight.chunk, flight.early, flight.tries))
        flight.counted = False
        flight.tries += 1

    def _submit(self, chunk: Chunk, early: Early, tries: int) -> Future[Any]:
        label = Span(chunk.first, chunk.count).named(Unit.ITERATION)
        parcels, hear = (self._program, self._captured), partial(self._hear, early)
        if self._cell.options.alone:
            trial = self.tries.trial(tries, hear)
            return self._engine.submit_trial(run_chunk, *parcels, chunk, label=label, trial=trial)
        return self._engine.submit(run_chunk, *parcels, chunk, label=label, on_report=hear)

    def _hear(self, early: Early, pieces: Any) -> None:
        """Take a report, in the pool's thread; the main thread shows it in its turn."""
        early.arrived.append(pieces)
        self._cell.inbox.wake()

    def ask_what_changed(self) -> Asking | None:
        """Ask the workers which captured values their chunks have changed.

        None where they can't have, and where each chunk's worker has looked already.
        """
        if self._looks_each or self._is_tiny or not self._watched or not self._next:
            return None
        parcels = self._program, self._captured
        return Asking(self._engine, self._cell.inbox, check_program, *parcels)

    def has_acted(self, first: int) -> bool:
        """Whether work of that iteration, or of a later one, may have done something outside.

        Nothing of it may be under way any more.
        """
        return has_acted(self._engine, self._cell.inbox, self._run, first)

    @property
    def has_shown(self) -> bool:
        """Whether something of the oldest chunk is shown already."""
        return bool(self._flights) and self._flights[0].early.has_begun(0)

    def end(self) -> None:
        """Call back what is still under way; returns when no worker is busy with it."""
        pending = [f.future for f in self._flights if f.is_sent]
        self._flights.clear()
        recall(self._engine, pending, self._cell.inbox)
