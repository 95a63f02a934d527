"""The worker's half of a call outside of loops: it runs the call and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from mpmagic.pool import Parcel, is_interrupt
from mpmagic.run.audited import leave_work, watch_work
from mpmagic.run.codec import Encoder
from mpmagic.run.failure import Failure, pack_failure
from mpmagic.run.figures import LEFT_FIGURES, FigureWatch
from mpmagic.run.globalstreams import DrawWatch
from mpmagic.run.identity import Sharing
from mpmagic.run.logged import records_taped
from mpmagic.run.loglevels import LevelWatch
from mpmagic.run.observer import UNTIMED, Timing
from mpmagic.run.packed import Packed
from mpmagic.run.program import Program, forget_program, load_program
from mpmagic.run.sampling import Samples
from mpmagic.run.seeds import seed_iteration
from mpmagic.run.shown import Screen
from mpmagic.run.signals import SignalWatch
from mpmagic.run.tape import taped
from mpmagic.run.tenancy import post, worker_number
from mpmagic.run.warned import warnings_taped
from mpmagic.run.watch import is_inert

__all__ = ["CallLog", "run_call"]


@dataclass(slots=True)
class CallLog:
    """What came of a call.

    Attributes
    ----------
    events
        Text and warnings, in order.
    value
        What it gave, packed; None if it raised or its value can't travel.
    failure
        The exception that it raised, packed.
    lost_write
        What it changed behind the kernel's back, in words.
    refused
        What it did that can't be kept, whatever its own handlers made of that.
    unsendable
        Of a value that can't travel, the type and the reason.
    timing
        When the worker did what.
    samples
        Where it spent its time, if that was wanted.
    """

    events: list[tuple[Any, ...]] = field(default_factory=list)
    value: Packed | None = None
    failure: Failure | None = None
    lost_write: str = ""
    refused: str = ""
    unsendable: tuple[str, str] | None = None
    timing: Timing = UNTIMED
    samples: Samples | None = None


def run_call(source: Parcel, captured: Parcel, index: int, run: int) -> Packed:
    """Run a call; its packed log.

    Parameters
    ----------
    source, captured
        The program's parcels; its work is the call as an expression.
    index
        Of the statement, from which its random streams derive.
    run
        Which run of a group of calls it is of.
    """
    entered = perf_counter()
    program = load_program(source, captured)
    program.enter()
    try:
        watch_work(run, index)
        with FigureWatch() as figures:
            log = _run(program, index, figures)
    except BaseException:  # an interrupt: what the call has changed until then never happened
        forget_program(program)
        raise
    finally:
        leave_work()
    log.timing = log.timing._replace(entered=entered)
    return Encoder(program.side, by_reference=True).encode(log)


def _run(program: Program, index: int, figures: FigureWatch) -> CallLog:
    log, seed, value = CallLog(), program.source.seed, None
    draws = DrawWatch() if seed is None else None
    if seed is not None:
        seed_iteration(seed, index, program.side.captured)
    start, signals, levels = perf_counter(), SignalWatch(), LevelWatch()
    with (
        taped(log.events),
        Screen(log.events, program.source.formats, program.side).on(),
        warnings_taped(log.events),
        records_taped(log.events),
        program.sampled() as log.samples,
    ):
        try:
            value = program.work()
        except BaseException as error:
            if is_interrupt(error):
                raise
            log.failure = pack_failure(error, program)
    log.timing = Timing(worker_number(), start, start, perf_counter())
    signals.note(log.events)
    levels.note(log.events)
    log.lost_write = _lost_write(program, draws)
    if figures.close_new() and not log.lost_write and log.failure is None:
        log.lost_write = LEFT_FIGURES
    at = post()
    log.refused = "" if at is None else at.complaint
    if log.lost_write or log.refused:
        forget_program(program)
    elif log.failure is None:
        _keep(value, log, program)
    return log


def _lost_write(program: Program, draws: DrawWatch | None) -> str:
    if draws is not None and (module := draws.moved()):
        return f"drew from the global stream of `{module}`"
    rebound = next(iter(program.rebound()), None)
    if rebound is not None:
        return f"bound the notebook's `{rebound}`"
    changed = program.changed()
    if not changed and (attribute := program.module_watch.changed()):
        changed = [attribute]
    return f"changed `{changed[0]}`" if changed else program.left_changed()


def _keep(value: Any, log: CallLog, program: Program) -> None:
    try:
        log.value = _encoder(value, program).encode(value)
    except Exception as error:
        log.unsendable = type(value).__name__, f"{type(error).__name__}: {error}"


def _encoder(value: Any, program: Program) -> Encoder:
    """Looks for what the value shares with what was sent only where there can be something."""
    if not is_inert(value) and program.places.may_be_in([value]):
        sharing = Sharing(program.places)
        return Encoder(program.side, by_reference=True, place_of=sharing.place_of)
    return Encoder(program.side, by_reference=True)
