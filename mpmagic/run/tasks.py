"""Adjacent calls outside of loops while they run side by side.

The kernel's code goes through the statements in order. At each it asks whether the call is away,
and binds what came back, or makes the call itself:

::

    with group.begin():
        a = group.value(0) if group.is_away(0) else load("a")
        b = group.value(1) if group.is_away(1) else load("b")

Whenever a call comes back, those that waited for its value are sent, before it is bound.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from time import perf_counter
from types import TracebackType
from typing import Any, Final

from mpmagic.cell.compiled import compiled
from mpmagic.cell.task import Ahead, Kind, Task, task_of
from mpmagic.cell.taskgraph import TaskGroup
from mpmagic.errors import UnsendableValue
from mpmagic.pool import in_worker
from mpmagic.run.audited import next_run
from mpmagic.run.callflight import CallFlight, captured_by, modules_of, send
from mpmagic.run.context import CellContext
from mpmagic.run.engine import has_acted, recall
from mpmagic.run.observer import Begun, Committed, Span, Standing, Unit
from mpmagic.run.options import CallsReport, Options
from mpmagic.run.replayed import replay_aside
from mpmagic.run.retreat import computes_besides
from mpmagic.run.sendable import check_values
from mpmagic.run.taskwork import CallLog
from mpmagic.run.trip import standing

__all__ = ["TaskRun", "unsendable_tasks"]

_KNOWN_MODULES: Final = frozenset(
    {"builtins", "collections", "numpy", "pandas", "polars", "pathlib", "datetime", "decimal"}
)
"""Whose types' methods don't change what `len`, `list` and their like look at."""


class TaskRun:
    """One group of a cell; a context manager around the group's statements.

    Parameters
    ----------
    group
        The group.
    cell
        The cell that it is part of.
    """

    def __init__(self, group: TaskGroup, cell: CellContext) -> None:
        self._group = group
        self._cell = cell
        self._flights: dict[int, CallFlight] = {}
        # Statements before it are bound.
        self._turn = 0
        self._report = CallsReport(group.tasks[0].node.lineno)
        self._run = next_run()

    # -- what the cell's code calls ------------------------------------------------------------

    def begin(self) -> TaskRun:
        """The group, to be entered."""
        self._cell.look_again()
        return self

    def __enter__(self) -> TaskRun:
        self._began = perf_counter()
        self._cell.report.calls.append(self._report)
        total = sum(task.kind is Kind.WORK for task in self._group.tasks)
        self._cell.observer.begun(Begun(self._report.line, Unit.CALL, total, self._began))
        self._cell.inbox.__enter__()
        self._streams = self._cell.engine().streams()
        self._streams.__enter__()
        return self

    def is_away(self, index: int) -> bool:
        """Whether a statement's call is a worker's; all before it are bound."""
        self._cell.inbox.leave_user_code()
        self._turn = index
        self._collect()
        self._send_ready()
        if index in self._flights and not self._goes_back(index):
            return True
        if not self._harmless(self._group.tasks[index]):
            for i, flight in self._flights.items():
                if i > index:
                    flight.doubt(self._cell)
        self._cell.inbox.enter_user_code()
        return False

    def value(self, index: int) -> Any:
        """What the call gave, once its output is shown.

        Raises
        ------
        BaseException
            Whatever the call raised.
        """
        flight, log = self._flights[index], self._log_of(self._flights[index])
        flight.check_captured(self._cell)
        self._tell(flight, log)
        self._cell.inbox.enter_user_code()
        for event in log.events:
            replay_aside(event, self._cell.namespace)
        if flight.error is not None:
            raise flight.error
        now = perf_counter()
        committed = Committed(self._report.line, Span(flight.line, 1), self._began_binding, now)
        self._cell.observer.committed(committed)
        self._report.calls += 1
        self._report.work += log.timing.seconds
        return self._flights.pop(index).value  # the cell may free it before it ends

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        inbox = self._cell.inbox
        inbox.leave_user_code()
        try:
            recall(self._cell.engine(), [f.future for f in self._flights.values()], inbox)
            if error is None:
                inbox.raise_interrupt()
        finally:
            ended = perf_counter()
            self._report.wall = ended - self._began
            self._cell.observer.ended(self._report.line, ended)
            self._streams.__exit__(None, None, None)
            inbox.__exit__(kind, error, tb)

    def _harmless(self, task: Task) -> bool:
        """Whether no code of the user's can run in a call that the kernel makes."""
        values = [self._cell.namespace.get(name) for name in task.effects.reads]
        modules = {str(type(value).__module__).partition(".")[0] for value in values}
        return task.kind is Kind.LIGHT and modules <= _KNOWN_MODULES

    # -- what comes back -----------------------------------------------------------------------

    def _log_of(self, flight: CallFlight) -> CallLog:
        """What a call has written, when it has come back."""
        while flight.log is None:
            self._collect()
            if flight.log is None:
                self._send_ready()
                self._wait()
        return flight.log

    def _goes_back(self, index: int) -> bool:
        """Whether a call whose turn it is turns out to be the kernel's.

        Those after it may have read what it changes: they are taken back.
        """
        self._log_of(self._flights[index])
        why, cell = self._flights[index].lost, self._cell
        begun, options = list(self._flights.values()), cell.options
        asked = options.seed is not None or options.local or not options.apart
        if not why or asked or not all(_computes(flight, cell) for flight in begun):
            return False
        recall(cell.engine(), [flight.future for flight in begun], cell.inbox)
        line = self._group.tasks[index].node.lineno
        if has_acted(cell.engine(), cell.inbox, self._run, line):
            return False
        self._flights.clear()
        cell.report.kept.append((line, why))
        return True

    def _away(self) -> list[CallFlight]:
        return [f for f in self._flights.values() if f.log is None]

    def _collect(self) -> None:
        for flight in self._away():
            if flight.future.done():
                flight.open(self._cell)

    def _wait(self) -> None:
        away = self._away()
        self._cell.inbox.wait_until(
            lambda: any(f.future.done() for f in away),
            pause=self._cell.observer.pause,
            tick=lambda: self._cell.observer.tick(self._report.line, self._standing),
        )

    # -- what is told --------------------------------------------------------------------------

    def _tell(self, flight: CallFlight, log: CallLog) -> None:
        observer, line, span = self._cell.observer, self._report.line, Span(flight.line, 1)
        if log.timing.pid:  # nothing came back from a worker that died
            observer.returned(flight.trip.returned(line, span, log.timing, samples=log.samples))
        observer.make_way()
        self._began_binding = perf_counter()

    def _standing(self) -> Standing:
        away = {f.future: Span(f.line, 1) for f in self._away() if not f.future.done()}
        done = self._report.calls + len(self._flights) - len(away)
        spare = self._cell.workers - len(away)
        return standing(self._cell.engine(), away, done, unit=Unit.CALL, spare=spare)

    # -- what is sent --------------------------------------------------------------------------

    def _send_ready(self) -> None:
        """Send all calls that can be, in order, up to one that must be waited for."""
        for index in range(self._turn, len(self._group.tasks)):
            flight = self._flights.get(index)
            if flight is not None:
                if flight.error is not None:
                    return
                continue
            full = len(self._away()) > self._cell.workers and index != self._turn
            if full or not self._passes(index):
                return

    def _passes(self, index: int) -> bool:
        """Send the call if it can be; whether those after it may be sent."""
        if in_worker():
            return False
        if self._group.tasks[index].kind is Kind.LIGHT:
            return True
        ready, unready = self._ahead(index)
        task = self._looked_at(index, ready, unready)
        if task.kind is Kind.BARRIER:
            return self._keep(task, task.why, at_turn=index == self._turn)
        if task.kind is Kind.LIGHT:
            return True
        if task.effects.reads.keys() & unready:
            return not task.calls_through(unready)
        return self._send(task, index, ready, unready)

    def _ahead(self, index: int) -> tuple[dict[str, Any], set[str]]:
        """Names that statements before it bind: those whose value is there, and the others."""
        ready: dict[str, Any] = {}
        unready: set[str] = set()
        for i in range(self._turn, index):
            binds, flight = self._group.tasks[i].binds, self._flights.get(i)
            value = _bound_by(self._group.tasks[i], flight)
            ready = {n: v for n, v in ready.items() if n not in binds} | value
            unready = (unready | binds) - value.keys()
        return ready, unready

    def _looked_at(self, index: int, ready: dict[str, Any], unready: Collection[str]) -> Task:
        """The statement with what its names stand for now."""
        knowledge = Ahead(self._cell.namespace, ready, unready)
        node = self._group.tasks[index].node
        task = task_of(node, knowledge, self._cell.options.allowances)
        assert task is not None
        return task

    def _send(self, task: Task, index: int, ready: dict[str, Any], unready: set[str]) -> bool:
        try:
            captured = captured_by(task, self._cell, ready)
            modules = modules_of(task, captured, self._cell)
        except UnsendableValue as reason:
            return self._keep(task, str(reason), at_turn=index == self._turn)
        if captured.names & unready:
            return True  # a function among the values reads them
        self._report.beside += bool(self._away())
        line = task.node.lineno
        self._flights[index] = send(task, (line, self._run), (captured, modules), self._cell)
        return True

    def _keep(self, task: Task, why: str, *, at_turn: bool) -> bool:
        """A call for the kernel: nothing after it is sent before it is made."""
        if at_turn:
            self._cell.report.kept.append((task.node.lineno, why))
        return False


def _computes(flight: CallFlight, cell: CellContext) -> bool:
    call = compiled(ast.Expression(flight.task.node.value), cell.filename, "eval")
    return computes_besides(flight.captured, cell.namespace, call)


def _bound_by(task: Task, flight: CallFlight | None) -> dict[str, Any]:
    """What a statement will bind, if its value is there and its target a name."""
    if flight is None or not flight.given or not hasattr(task.node.targets[0], "id"):
        return {}
    return dict.fromkeys(task.binds, flight.value)


def unsendable_tasks(
    group: TaskGroup, bound: Collection[str], namespace: dict[str, Any], options: Options
) -> dict[int, str]:
    """Statements of a group that read something that can't be sent, and why.

    Parameters
    ----------
    group
        The group.
    bound
        Names that the cell binds, whose values nobody knows yet.
    namespace, options
        The user's.
    """
    found = {}
    for index, task in enumerate(group.tasks):
        if task.kind is Kind.WORK:
            try:
                check_values(task.effects.reads.keys() - set(bound), namespace, options.local)
            except UnsendableValue as error:
                found[index] = str(error)
    return found
