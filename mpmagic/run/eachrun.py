"""A cell of ``--each`` from its source to its values: sent to every worker, and what came back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from mpmagic.cell.eachcode import EachCode
from mpmagic.cell.formats import carried_formats
from mpmagic.errors import EachFailed, UnsendableValue
from mpmagic.pool import Parcel
from mpmagic.run.capture import Captured, capture
from mpmagic.run.codec import Encoder, decode
from mpmagic.run.context import CellContext
from mpmagic.run.each import EachCell, EachCells, Order, work_of
from mpmagic.run.eachwork import EachLog, run_each
from mpmagic.run.engine import recall
from mpmagic.run.failure import unpack_failure
from mpmagic.run.figures import LEFT_FIGURES
from mpmagic.run.inreach import modules_in_reach
from mpmagic.run.origins import Origin
from mpmagic.run.packed import digest
from mpmagic.run.placeholder import Placeholder
from mpmagic.run.programsource import ProgramSource
from mpmagic.run.replayed import replay_aside
from mpmagic.run.resident import ResidentCell
from mpmagic.run.side import Side
from mpmagic.run.state import ProcessState
from mpmagic.run.texts import texts_of
from mpmagic.run.tidying import tidy

__all__ = ["EachRun"]

_numbers: Final = itertools.count(1)
"""Tell a cell that is run again from the one that it was."""


class EachRun:
    """One run of a cell in every worker.

    Parameters
    ----------
    code
        The cell's code.
    cell
        The cell.
    known
        The cells that have run before.
    renew
        Has the workers replaced by new ones.

    Attributes
    ----------
    values
        What each worker's last expression gave, in the order of the workers.
    """

    def __init__(
        self, code: EachCode, cell: CellContext, known: EachCells, renew: Callable[[], None]
    ) -> None:
        self._code, self._cell, self._known, self._renew = code, cell, known, renew
        self.values: list[Any] = []

    def run(self, label: str, ident: str) -> None:
        """Run the cell.

        Parameters
        ----------
        label
            What it is called in errors.
        ident
            By which the front end knows it.

        Raises
        ------
        NotParallel, UnsendableValue
            If it can't be sent; nothing of it ran.
        BaseException
            Whatever it raises in the first worker in which it does.
        """
        order = self._known.order_of(self._as_known(_UNSENT, ident, self._code.binds))
        captured = self._captured(order)
        work = self._packed(captured, label)
        if order.replaces:
            self._renew()
        try:
            logs = self._logs(order, work, captured)
            self._show(logs, captured)
        except BaseException as error:
            self._renew()  # some may have run it
            tidy(error)
            self._cell.origins.tell(error)
            raise
        names = frozenset.intersection(*(log.names for log in logs))
        self._known.keep(order, self._as_known(work, ident, names))

    def _as_known(self, work: ResidentCell, ident: str, names: frozenset[str]) -> EachCell:
        return EachCell(work, ident, self._cell.text, self._code.reads, names)

    # -- what is sent --------------------------------------------------------------------------

    def _captured(self, order: Order) -> Captured:
        """What the cell reads of the notebook; what cells before it have left is the workers'."""
        namespace = self._cell.namespace
        names = self._code.reads - order.names
        try:
            return capture(names, namespace)
        except UnsendableValue:
            if not names & self._code.binds:
                raise
        return capture(names - self._code.binds, namespace)  # it binds them itself later on

    def _packed(self, captured: Captured, label: str) -> ResidentCell:
        cell, code = self._cell, self._code
        source = ProgramSource(
            work=code.body,
            last=code.last,
            private=tuple(sorted(code.binds)),
            certain=frozenset(),
            targets=frozenset(),
            filename=cell.filename,
            texts=texts_of(captured.functions, cell.filename, cell.text),
            state=ProcessState.for_others(),
            class_ids=captured.class_ids,
            modules=modules_in_reach(code.body, captured, cell),
            formats=carried_formats(cell.namespace),
            verbose=cell.verbose,
            version=next(_numbers),
        )
        packed = Encoder(Side(cell.namespace), by_reference=False).encode(source)
        values = Parcel(digest(captured.packed), captured.packed)
        return ResidentCell(label, Parcel(digest(packed), packed), values)

    # -- what comes back -----------------------------------------------------------------------

    def _logs(self, order: Order, work: ResidentCell, captured: Captured) -> list[EachLog]:
        engine, inbox = self._cell.engine(), self._cell.inbox
        others = work_of(order.before), work_of(order.after)
        futures: list[Future[Any]] = []
        try:
            with inbox:  # nor is one lost that has begun when an interrupt strikes
                futures += engine.ask_each(run_each, others[0], work, others[1])
                for future in futures:
                    inbox.watch(future)
                inbox.wait_until(lambda: all(future.done() for future in futures))
        except BaseException:
            recall(engine, futures, inbox)
            raise
        if not futures:
            raise EachFailed("no worker could be started. Nothing of the cell ran.")
        side = self._side(captured)
        return [_log_of(future, side) for future in futures]

    def _side(self, captured: Captured) -> Side:
        return Side(self._cell.namespace, captured.values, set(captured.class_ids))

    def _show(self, logs: list[EachLog], captured: Captured) -> None:
        """Show what the workers have shown, one after the other, and take their values."""
        side, failed = self._side(captured), sum(log.failure is not None for log in logs)
        for number, log in enumerate(logs, 1):
            for event in log.events:
                replay_aside(event, self._cell.namespace)
            if log.failure is not None:
                error = unpack_failure(log.failure, side)
                where = f"worker {number} of {len(logs)}"
                more = f"; {failed} of them failed" if failed > 1 else ""
                origin = Origin(f"--each, {where}{more}", self._cell.worker_named(log.pid))
                self._cell.origins.note(error, origin)
                raise error
            if log.left_figures:
                raise EachFailed.of(f"{LEFT_FIGURES}; close it in the cell", log.pid)
            self.values.append(self._value(log, side))

    def _value(self, log: EachLog, side: Side) -> Any:
        if log.value is None:
            return Placeholder("Out", log.unsendable, "the last value of a cell of `--each`")
        return decode(log.value, side)


def _log_of(future: Future[Any], side: Side) -> EachLog:
    log: EachLog = decode(future.result(), side)
    return log


_UNSENT: Final = ResidentCell("", Parcel(b"", None), Parcel(b"", None))
