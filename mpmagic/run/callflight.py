"""A call outside of loops on its way: sent to a worker, and what came back."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from mpmagic.cell.compiled import compiled
from mpmagic.cell.formats import carried_formats
from mpmagic.cell.task import Task
from mpmagic.errors import LostWrite, UnsendableValue
from mpmagic.pool import Parcel
from mpmagic.run.capture import Captured, capture
from mpmagic.run.codec import Encoder, decode
from mpmagic.run.context import CellContext
from mpmagic.run.failure import unpack_failure
from mpmagic.run.figures import LEFT_FIGURES
from mpmagic.run.finder import Finder
from mpmagic.run.inreach import modules_in_reach
from mpmagic.run.modules import ModuleState
from mpmagic.run.origins import Origin
from mpmagic.run.packed import digest
from mpmagic.run.programsource import ProgramSource
from mpmagic.run.side import Side
from mpmagic.run.state import ProcessState
from mpmagic.run.taskwork import CallLog, run_call
from mpmagic.run.texts import texts_of
from mpmagic.run.trip import Trip
from mpmagic.run.watch import fingerprint, is_inert

__all__ = ["CallFlight", "captured_by", "send"]

_APART: Final = "set it apart from the calls around it by a line of its own, such as `pass`"


@dataclass(slots=True)
class CallFlight:
    """A call under way.

    Attributes
    ----------
    task
        The statement.
    captured
        What it was sent.
    future
        Its log, packed.
    side
        The kernel's side, by which its result is read.
    log
        Its log, once it is there.
    value
        What the call gave.
    error
        Why there is no value, if so.
    trip
        When it was sent and came back.
    seen
        What the captured values looked like, if a later change of them has to be found.
    lost
        Why no worker can make the call, as it turned out in one; empty if it can.
    """

    task: Task
    captured: Captured
    future: Future[Any]
    side: Side
    trip: Trip
    log: CallLog | None = None
    value: Any = None
    error: BaseException | None = None
    seen: dict[str, Any] | None = None
    lost: str = ""

    @property
    def given(self) -> bool:
        """Whether its value is there."""
        return self.log is not None and self.error is None

    @property
    def line(self) -> int:
        """Its line in the cell."""
        return self.task.node.lineno

    def open(self, cell: CellContext) -> None:
        """Read what came back.

        Parameters
        ----------
        cell
            Is told of an exception of the call's own.
        """
        self.log = CallLog()
        try:
            self.log = decode(self.future.result(), self.side)
            self._take(self.log, cell)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.error = error

    def _take(self, log: CallLog, cell: CellContext) -> None:
        if log.refused:
            self.lost = log.refused
            self.error = UnsendableValue(
                f"the call in line {self.line}: {log.refused}. What stands before it is done"
            )
        elif log.lost_write:
            self.lost = f"it {log.lost_write}, as it turned out in a worker"
            self.error = self._lost_write(log.lost_write)
        elif log.failure is not None:
            self.error = unpack_failure(log.failure, self.side)
            origin = Origin(f"line {self.line}", cell.worker_named(log.timing.pid))
            cell.origins.note(self.error, origin)
        elif log.value is not None:
            self._read(log)
        else:
            kind, reason = log.unsendable or ("a value", "")
            self.lost = f"its value ({kind}) can't be sent back: {reason}"
            self.error = self._unsendable(
                f"{kind}, can't be sent back from the worker ({reason}). Give the statement a "
                f"value that can be pickled, or {_APART}"
            )

    def _read(self, log: CallLog) -> None:
        values = self.captured.values
        assert log.value is not None
        try:
            self.value = decode(log.value, self.side, Finder(values))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self.error = self._unsendable(f"which came back, can't be unpickled ({reason})")

    def _unsendable(self, what: str) -> UnsendableValue:
        text = ast.unparse(self.task.node.value)
        return UnsendableValue(
            f"line {self.line}: the value of `{text}`, {what}; what stands before it is done"
        )

    def _lost_write(self, what: str) -> LostWrite:
        remedy = f"{_APART}, or allow it with `--local NAME`"
        if what.startswith("drew"):
            remedy = "hand in a generator or a `random_state`, or use `--seed N`"
        if what == LEFT_FIGURES:
            remedy = f"close it in the function, or {_APART}"
        return LostWrite(
            f"the call in line {self.line} {what} in a worker; the notebook would have kept "
            f"that, and it can't come back. What stands before it is done. To mend it, {remedy}"
        )

    def doubt(self, cell: CellContext) -> None:
        """Remember what was sent, before the kernel makes a call in front of this one."""
        if self.seen is None:
            self.seen = {n: self._fingerprint(v, cell) for n, v in self.captured.values.items()}

    def check_captured(self, cell: CellContext) -> None:
        """Make sure that what was sent is still what the notebook holds, if that is in doubt.

        Raises
        ------
        LostWrite
            If a call in front of it has changed it meanwhile.
        """
        if self.seen is None:
            return
        names = self.captured.names & cell.namespace.keys()
        now = {n: self._fingerprint(cell.namespace[n], cell) for n in names}
        if now != self.seen:
            raise LostWrite(
                f"a call in front of line {self.line}, which the kernel had to make, changed what "
                f"the call in line {self.line} was sent already; {_APART}"
            )

    def _fingerprint(self, value: Any, cell: CellContext) -> Any:
        if is_inert(value):
            return value
        return fingerprint(value, Side(cell.namespace, class_ids=set(self.captured.class_ids)))


def captured_by(task: Task, cell: CellContext, ready: Mapping[str, Any] | None = None) -> Captured:
    """What a call has to be sent.

    Raises
    ------
    UnsendableValue
        If some of it can't be pickled.
    """
    return capture(task.effects.reads, cell.namespace, cell.options.local, ready)


def modules_of(task: Task, captured: Captured, cell: CellContext) -> tuple[ModuleState, ...]:
    """The modules of the user's that a call may look into.

    Raises
    ------
    UnsendableValue
        If a worker couldn't have one of them as the kernel has it.
    """
    call = compiled(ast.Expression(task.node.value), cell.filename, "eval")
    return modules_in_reach(call, captured, cell)


def send(
    task: Task,
    at: tuple[int, int],
    sent: tuple[Captured, tuple[ModuleState, ...]],
    cell: CellContext,
) -> CallFlight:
    """Send a call to a worker.

    Parameters
    ----------
    task
        The statement.
    at
        Its place in the cell, from which its random streams derive, and the run of its group.
    sent
        What it reads, and the modules that it may look into.
    cell
        The cell.
    """
    captured, modules = sent
    call = ast.Expression(task.node.value)
    source = ProgramSource(
        work=compiled(call, cell.filename, "eval"),
        private=(),
        certain=frozenset(),
        targets=frozenset(),
        own=captured.own,
        filename=cell.filename,
        texts=texts_of(captured.functions, cell.filename, cell.text),
        state=ProcessState.for_others(),
        class_ids=captured.class_ids,
        seed=cell.options.seed,
        modules=modules,
        samples=cell.observer.samples,
        local=cell.options.local,
        formats=carried_formats(cell.namespace),
        verbose=cell.verbose,
        residents=cell.lacking(captured.names),
        version=cell.version,
    )
    with captured.nans.of_program():
        packed = Encoder(Side(cell.namespace, nans=captured.nans), by_reference=False).encode(
            source
        )
    program = Parcel(digest(packed), packed)
    values = Parcel(digest(captured.packed), captured.packed)
    label = f"line {task.node.lineno}"
    future = cell.engine().submit(run_call, program, values, *at, label=label)
    cell.inbox.watch(future)
    side = Side(cell.namespace, captured.values, set(captured.class_ids), captured.nans)
    return CallFlight(task, captured, future, side, Trip(future))
