"""The one function that a worker is asked to run: a chunk of a loop's iterations.

It runs the loop's work on the chunk's items, writes a log of what the kernel has to commit, and
looks whether the work changed anything that the log doesn't hold.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from mpmagic.cell.vocabulary import BREAK, START
from mpmagic.errors import FileChanged, UnsendableValue
from mpmagic.pool import Parcel, is_interrupt
from mpmagic.run.audited import leave_work, watch_work
from mpmagic.run.codec import Encoder
from mpmagic.run.failure import Failure, pack_caught, pack_failure
from mpmagic.run.figures import LEFT_FIGURES, FigureWatch, take_backend
from mpmagic.run.filerange import FileRange
from mpmagic.run.globalstreams import DrawWatch
from mpmagic.run.handed import Handed
from mpmagic.run.identity import Sharing
from mpmagic.run.iterations import Iterations
from mpmagic.run.journal import Journal
from mpmagic.run.keys import hashed, slotted, summed
from mpmagic.run.live import Announcer
from mpmagic.run.log import LOST, RAISE, UNSENDABLE, Chunk, Log
from mpmagic.run.logged import records_taped
from mpmagic.run.loglevels import LevelWatch
from mpmagic.run.observer import Timing
from mpmagic.run.packed import Packed
from mpmagic.run.probes import without_idle
from mpmagic.run.program import Program, forget_program, load_program, opened
from mpmagic.run.shown import Screen
from mpmagic.run.signals import SignalWatch
from mpmagic.run.speculation import Outcome, Speculator
from mpmagic.run.tape import noting, taped
from mpmagic.run.tenancy import post, worker_number
from mpmagic.run.warned import warnings_taped
from mpmagic.run.watch import (
    ATOMS,
    Fingerprint,
    are_inert,
    changed_values,
    fingerprint,
    is_inert,
)

__all__ = ["Drained", "check_program", "run_chunk"]


def run_chunk(source: Parcel, captured: Parcel, chunk: Chunk) -> Packed:
    """Run a chunk; the packed log.

    Parameters
    ----------
    source, captured
        The program's parcels.
    chunk
        Its iterations.
    """
    entered = perf_counter()
    program = load_program(source, captured)
    program.enter()
    return _Recorder(program, chunk, _items_of(chunk, program)).run(entered)


def _items_of(chunk: Chunk, program: Program) -> Any:
    if isinstance(chunk.items, range):
        return chunk.items
    if isinstance(chunk.items, FileRange):
        return _lines_of(chunk)
    if isinstance(chunk.items, Packed):
        return opened(chunk.items, program.side, f"an item of iteration {chunk.first} or later")
    alone = enumerate(chunk.items, chunk.first)
    return [opened(one, program.side, f"the item of iteration {i}")[0] for i, one in alone]


def _lines_of(chunk: Chunk) -> list[Any]:
    lines = list(chunk.items.read()[0])
    if len(lines) != chunk.count:
        message = "the file that the loop reads was changed while it ran"
        raise FileChanged(errno.ESTALE, message, chunk.items.path)
    return lines


def check_program(source: Parcel, captured: Parcel) -> list[str]:
    """Names of captured values that this worker's chunks have changed since they came."""
    program = load_program(source, captured)
    changed = program.changed()
    program.is_unchecked = False
    if changed:
        forget_program(program)
    return changed


def _has_ended_loop(events: Sequence[tuple[Any, ...]]) -> bool:
    """Whether the last iteration left the loop; commits of a ``finally`` may follow the break."""
    for event in reversed(events):
        if event[0] in (BREAK, RAISE):
            return True
        if event[0] == START:
            return False
    return False


class Drained:
    """What a generator expression gave before it ended, or raised.

    Parameters
    ----------
    elements
        The elements.
    failure
        The packed exception that ended it, if one did.
    """

    def __init__(self, elements: list[Any], failure: Failure | None) -> None:
        self.elements = elements
        self.failure = failure


class _Recorder:
    """Runs one chunk and writes its log."""

    def __init__(self, program: Program, chunk: Chunk, items: Any) -> None:
        self._program = program
        self._chunk = chunk
        self._items = items
        self._log = Log()
        self._note = noting(self._log.events)
        self._failed: BaseException | None = None
        self._journal = Journal()
        self._refused = ""
        self._iterations = Iterations(program, chunk, items, self._log)
        self._handed = Handed(program.side)
        self._figures = FigureWatch()

    def run(self, entered: float) -> Packed:
        try:
            return self._run(entered)
        except BaseException:  # an interrupt: other loops find this worker as it was before
            self._put_back()
            raise

    def _put_back(self) -> None:
        self._journal.undo()
        self._figures.close_new()
        if not self._program.is_unchecked:  # what this chunk has changed besides never happened
            forget_program(self._program)

    def _run(self, entered: float) -> Packed:
        program, log = self._program, self._log
        program.begin_chunk()
        if self._chunk.check:  # items may have code that changes more than themselves
            program.watch()
        for name in program.source.sliced:
            self._journal.lend(program.side.namespace, name)
        watched = self._items if self._chunk.mutable else []
        before = {i: fingerprint(item, program.side) for i, item in enumerate(watched)}
        source = program.source
        draws = DrawWatch(source.followed) if source.seed is None else None
        signals, levels = SignalWatch(), LevelWatch()
        announcer = Announcer(log.events, program.source.silent)
        if program.source.formats is not None:
            take_backend(program.source.formats.backend)
        try:
            with (
                taped(log.events),
                Screen(log.events, program.source.formats, program.side).on(self._refuse),
                warnings_taped(log.events),
                records_taped(log.events),
                program.sampled() as log.samples,
            ):
                start = perf_counter()
                self._work()
                log.timing = Timing(worker_number(), entered, start, perf_counter())
        finally:
            announcer.stop()
        log.laps = self._iterations.laps()
        signals.note(log.events)
        levels.note(log.events)
        if (at := post()) is not None and at.complaint:
            self._refuse(at.complaint)
        self._keep_finals()
        left = self._figures.close_new()
        log.left = left if self._failed is not None else []
        packed = self._pack()  # before the stores into sliced state are undone
        packed.finished = program.source.kept and self._is_finished()
        self._journal.undo()
        lost = self._lost_write(draws, watched, before)
        if left and not lost and self._failed is None:
            lost = LEFT_FIGURES
        return packed if not lost and not self._refused else self._pack_lost(lost)

    def _is_finished(self) -> bool:
        """Whether nothing of the work has failed: it won't be done again when the cell goes on."""
        return self._failed is None and not any(
            event[0] == UNSENDABLE
            or any(isinstance(part, Drained) and part.failure is not None for part in event)
            for event in self._log.events
        )

    def _changed_items(self, watched: Any, before: dict[int, Fingerprint]) -> list[int]:
        """Positions of the items that aren't what they were."""
        program, chunk = self._program, self._chunk
        items = dict(enumerate(watched))
        return changed_values(items, before, program.side, lambda: _items_of(chunk, program))

    def _lost_write(
        self, draws: DrawWatch | None, watched: Any, before: dict[int, Fingerprint]
    ) -> str:
        """What the work changed behind the kernel's back, in words."""
        program = self._program
        if draws is not None and (module := draws.moved()):
            return f"drew from the global stream of `{module}`"
        if changed := self._changed_items(watched, before):
            return f"changed the item of iteration {self._chunk.first + changed[0]}"
        if (rebound := next(iter(program.rebound()), None)) is not None:
            return f"bound the notebook's `{rebound}`"
        program.is_unchecked = not self._chunk.check
        if self._chunk.check and (names := program.changed()):
            return f"changed `{names[0]}`"
        if attribute := program.module_watch.changed():
            return f"changed `{attribute}`"
        return program.left_changed()

    def _pack_lost(self, what: str) -> Packed:
        forget_program(self._program)
        log = Log(lost_write=what, refused=self._refused, timing=self._log.timing)
        return Encoder(self._program.side, by_reference=True).encode(log)

    def _work(self) -> None:
        log = self._note
        watch_work(self._chunk.run, self._chunk.first)
        try:
            self._program.work(
                log, self._iterations.run(log, self._look_at_handed), self._drain, hashed,
                self._slot, self._iterations.bound, self._failed_on, self._keep, self._number,
                self._caught, Speculator(self._log.events, self._program, self._refuse),
                self._handed.held,
            )  # fmt: skip
        except BaseException as error:
            if is_interrupt(error):
                raise
            self._failed = error
            log((RAISE, pack_failure(error, self._program)))
        finally:
            leave_work()
        self._look_at_handed()  # of an iteration that has left the loop

    def _look_at_handed(self) -> None:
        if changed := self._handed.changed():
            self._refuse(changed)

    def _sure(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call; if that can't be right, the work's own handlers don't make it so."""
        try:
            return call(*arguments)
        except UnsendableValue as error:
            self._refuse(str(error))
            raise

    def _refuse(self, reason: str) -> None:
        self._refused = self._refused or reason

    def _slot(self, key: Any) -> Any:
        return key if type(key) in ATOMS else self._sure(slotted, key)

    def _number(self, value: Any) -> Any:
        return self._sure(summed, value)

    def _keep(self, owner: Any, key: Any, attribute: bool, augmented: bool) -> None:
        self._sure(self._journal.keep, owner, key, attribute, augmented)

    def _failed_on(self) -> None:
        """Note an exception that the kernel may pass over; the next iteration follows."""
        error = sys.exception()
        assert error is not None
        if is_interrupt(error):
            raise error
        self._note((RAISE, pack_failure(error, self._program)))

    def _caught(self) -> Failure:
        """The exception of the beginning of a ``try`` whose handlers are the kernel's."""
        error = sys.exception()
        assert error is not None
        if is_interrupt(error):
            raise error
        return self._sure(pack_caught, error, self._program)  # type: ignore[no-any-return]

    def _drain(self, generator: Iterator[Any]) -> Drained:
        elements: list[Any] = []
        try:
            elements.extend(generator)
        except BaseException as error:
            if is_interrupt(error):
                raise
            # The kernel raises it where the generator is consumed; no work may follow.
            self._failed = error
            return Drained(elements, pack_failure(error, self._program))
        return Drained(elements, None)

    # -- what the kernel needs to know at the end ------------------------------------------------

    def _keep_finals(self) -> None:
        source, namespace = self._program.source, self._program.side.namespace
        events = self._log.events
        everything = self._chunk.last or (not source.speculates and _has_ended_loop(events))
        wanted = [n for n in source.private if everything or n not in source.certain]
        for name in wanted:
            if name in namespace:
                self._log.finals[name] = namespace[name]

    def _pack(self) -> Packed:
        log, probes, events = self._log, self._program.source.probes, self._log.events
        try:
            log.events = without_idle(events, probes)
            return self._encoder().encode(log)
        except Exception:
            log.events = events
            self._set_aside()
            log.events = without_idle(events, probes)
            return self._encoder().encode(log)

    def _encoder(self) -> Encoder:
        """Sends what the kernel has the original of as that, if results can hold such a thing."""
        side = self._program.side
        if self._may_share() and (places := self._iterations.own).may_be_in(self._values()):
            return Encoder(side, by_reference=True, place_of=Sharing(places).place_of)
        return Encoder(side, by_reference=True)

    def _may_share(self) -> bool:
        if "own" in vars(self._iterations) or not are_inert(self._log.finals.values()):
            return True
        events = self._log.events
        if are_inert(events):  # without text, there are no others in most logs
            return False
        return not are_inert([o for event in events if event[0] >= 0 for o in event[1:]])

    def _values(self) -> list[Any]:
        """All that the log holds of the user's."""
        return [self._log.events, self._log.snapshots, self._log.finals]

    def _set_aside(self) -> None:
        """Take out of the log what can't be pickled, and say where it stood."""
        log = self._log
        log.finals = {n: self._travels(v, n) for n, v in log.finals.items()}
        log.snapshots = [
            tuple(LOST if self._unsendable(v) else v for v in s) for s in log.snapshots
        ]
        for i, event in enumerate(log.events):
            log.events[i] = event = tuple(
                o.portable(self._unsendable) if isinstance(o, Outcome) else o for o in event
            )
            for position, operand in enumerate(event[1:]):
                reason = self._unsendable(operand)
                if reason:
                    kind = type(operand).__name__
                    log.events[i:] = [(UNSENDABLE, event[0], position, kind, reason)]
                    return

    def _unsendable(self, value: Any) -> str:
        if is_inert(value):
            return ""
        try:
            self._encoder().encode(value)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _travels(self, value: Any, name: str) -> Any:
        if not self._unsendable(value):
            return value
        from mpmagic.run.placeholder import Placeholder

        return Placeholder(name, type(value).__name__)
