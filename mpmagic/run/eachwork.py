"""The worker's half of ``--each``: it runs the cells that it hasn't run, before anything else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mpmagic.errors import EachFailed
from mpmagic.pool import is_interrupt
from mpmagic.run.codec import Encoder
from mpmagic.run.failure import Failure, pack_failure
from mpmagic.run.figures import FigureWatch, take_backend
from mpmagic.run.logged import records_taped
from mpmagic.run.packed import Packed
from mpmagic.run.program import Program
from mpmagic.run.resident import ResidentCell, here, resident_values, start_anew
from mpmagic.run.residentstate import StateChange
from mpmagic.run.shown import Screen
from mpmagic.run.state import ProcessState
from mpmagic.run.tape import taped
from mpmagic.run.warned import warnings_taped

__all__ = ["Cells", "EachLog", "run_each", "settled"]

Cells = tuple[ResidentCell, ...]


@dataclass(slots=True)
class EachLog:
    """What came of a cell in one worker.

    Attributes
    ----------
    pid
        The worker's process.
    events
        What it showed, in order.
    names
        Those that it has left there.
    value
        That of its last expression, packed; None if it can't travel, or if it raised.
    unsendable
        Of a value that can't travel, its type.
    failure
        The exception that it raised, packed.
    left_figures
        Whether it left a figure of pyplot's open, which the notebook would show.
    """

    pid: int
    events: list[tuple[Any, ...]] = field(default_factory=list)
    names: frozenset[str] = frozenset()
    value: Packed | None = None
    unsendable: str = ""
    failure: Failure | None = None
    left_figures: bool = False


def settled(cells: Cells, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run the cells that this worker hasn't run, and then make the call."""
    _settle(cells)
    return function(*arguments)


def run_each(before: Cells, cell: ResidentCell, after: Cells) -> Packed:
    """Run a cell between others; its packed log."""
    _settle(before)
    program, log, error = _run(cell)
    if error is None:
        _settle((*before, cell, *after))
    return Encoder(program.side, by_reference=True).encode(log)


def _settle(cells: Cells) -> None:
    """Have run these cells, in this order and no others."""
    residents = here()
    wanted = [cell.key for cell in cells]
    if residents.done == wanted:
        return
    if residents.done != wanted[: len(residents.done)]:
        residents = start_anew()
    for cell in cells[len(residents.done) :]:
        _, _, error = _run(cell)  # what it shows was shown when it ran first
        if error is not None:
            raise EachFailed.again(cell.label, os.getpid(), error)


def _run(cell: ResidentCell) -> tuple[Program, EachLog, BaseException | None]:
    residents, log, raised = here(), EachLog(os.getpid()), None
    space, left = residents.namespace, resident_values(residents.names)
    program = Program(cell.source.payload, cell.captured.payload, space)
    space.update(left)  # functions of the notebook may have brought what they read there
    known, value, before = set(space), None, ProcessState.for_others()
    if program.source.formats is not None:
        take_backend(program.source.formats.backend)
    with (
        FigureWatch() as figures,
        taped(log.events),
        Screen(log.events, program.source.formats, program.side).on(),
        warnings_taped(log.events),
        records_taped(log.events),
    ):
        try:
            exec(program.source.work, space)
            if program.source.last is not None:
                value = eval(program.source.last, space)
        except BaseException as error:
            if is_interrupt(error):
                raise
            raised, log.failure = error, pack_failure(error, program)
        log.left_figures = bool(figures.close_new())
    bound = {name for name in program.source.private if name in space}
    log.names = frozenset(n for n in bound | (space.keys() - known) if not n.startswith("__"))
    if raised is None:
        residents.done.append(cell.key)
        residents.names |= log.names
        residents.changes.append(StateChange(before, ProcessState.for_others()))
        _keep(value, log, program)
    return program, log, raised


def _keep(value: Any, log: EachLog, program: Program) -> None:
    try:
        log.value = Encoder(program.side, by_reference=True).encode(value)
    except Exception:  # whatever a class's own pickling raises
        log.unsendable = type(value).__name__
