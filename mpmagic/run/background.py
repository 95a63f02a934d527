"""A cell in the background: what stands before its first loop at once, and the work of that loop.

The commits, and the rest of the cell, run when they are asked for. Until then the notebook's names
are the user's: what the loop has to do with must be the same then as when its work began.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from mpmagic.cell.compiled import Warned
from mpmagic.cell.constants import placeholder
from mpmagic.cell.plan import CellPlan, PlannedLoop
from mpmagic.errors import ChangedMeanwhile, NotParallel
from mpmagic.run.cell import run_cell, value_of
from mpmagic.run.context import CellContext
from mpmagic.run.feed import Feed
from mpmagic.run.loop import LoopRun
from mpmagic.run.replay import Replay
from mpmagic.run.side import Side
from mpmagic.run.telling import Telling
from mpmagic.run.watch import fingerprint

__all__ = ["BackgroundRun"]

_CHUNKS_EACH: Final = 8
"""Chunks for each worker, where the length is known: nobody is there to adapt their size."""

_CHUNK: Final = 16
_CHUNKS_AHEAD: Final = 64
"""Chunks that are sent of what may never end; the commits go on from there."""

_SENT: Final = ...
"""Stands for the iterable where the items were pulled before."""


class _Begun(LoopRun):
    """A loop whose work is sent before the cell's code reaches it.

    Attributes
    ----------
    staying
        Why the loop has to stay in the kernel; empty if its work was sent.
    """

    staying = ""

    def begin(self, iterable: Any) -> bool:
        """Send the work; where the cell's code reaches the loop, that's done."""
        if iterable is _SENT:
            return True
        cell = self._cell
        engine, options = cell.engine(), cell.options
        length = _length(iterable)
        feed = Feed(engine, _CHUNKS_AHEAD) if length is None else Feed(engine)
        cell.engine = lambda: feed
        cell.options = options._replace(chunk=options.chunk or _chunk(length, cell.workers))
        if not self._admits(iterable):
            self.staying = cell.report.stayed.pop()[1]
            return False
        shadow = self._started().admitted.shadow
        if shadow is not None and shadow.flows:
            self.staying = "it steps an iterator ahead, which nothing could take back"
            return False
        self._sending = super()._start()
        self._sending.dispatch.send_all()
        return True

    @property
    def progress(self) -> tuple[int, int]:
        """Iterations whose work is done, and all."""
        return self._sending.dispatch.progress()

    @property
    def names(self) -> frozenset[str]:
        """Names that the work or the iterable reads, or that the commits share."""
        split, iterable = self._started().admitted.split, self.planned.loop.iter
        return split.captured | split.shared | _names_in(iterable)

    def stop(self) -> None:
        """Stop the work."""
        self._sending.dispatch.end()

    def _start(self) -> Replay:
        """It's sent."""
        return self._sending

    def _read_ranges(self, telling: Telling) -> None:
        """Items were pulled before."""


class BackgroundRun:
    """One run of such a cell.

    Parameters
    ----------
    plan
        The cell's plan.
    cell
        The cell.

    Raises
    ------
    NotParallel
        If its first loop is no statement of its own.
    """

    def __init__(self, plan: CellPlan, cell: CellContext) -> None:
        self._plan, self._cell = plan, cell
        self._at, self._begin, self._planned = _place(plan)
        self._engine, self._options = cell.engine, cell.options
        self._before: dict[str, Any] = {}
        self._warned: Warned = []

    def start(self, warned: Warned) -> None:
        """Run what stands before the loop, and send its work.

        Parameters
        ----------
        warned
            What the compiler warns of.

        Raises
        ------
        NotParallel
            If the loop turns out to be the kernel's.
        """
        cell, body = self._cell, self._plan.tree.body
        before = CellPlan(ast.Module(body=body[: self._at], type_ignores=[]))
        line = self._planned.loop.lineno
        self._warned = [warning for warning in warned if warning[3] >= line]
        early = [warning for warning in warned if warning[3] < line]
        run_cell(before, cell, show_last=False, warned=early)
        self._loop = _Begun(self._planned, cell)
        begin = ast.Module(body=[ast.Expr(self._begin)], type_ignores=[])
        if not value_of(CellPlan(begin), cell, begun=self._loop):
            raise NotParallel(
                f"the loop in line {self._planned.loop.lineno} has to run in the kernel: "
                f"{self._loop.staying}. What stands before it is done; without `--bg` the cell runs"
            )
        self._before = dict(self._fingerprints())

    @property
    def progress(self) -> tuple[int, int]:
        """Iterations whose work is done, and all."""
        return self._loop.progress

    def stop(self) -> None:
        """Stop the work."""
        self._loop.stop()

    def changed(self) -> list[str]:
        """Names that don't stand for what they stood for when the work began."""
        now = dict(self._fingerprints())
        return [n for n in sorted(self._before.keys() | now) if now.get(n) != self._before.get(n)]

    def check_changed(self, name: str) -> None:
        """Say so if there are such.

        Parameters
        ----------
        name
            What the notebook calls the run.

        Raises
        ------
        ChangedMeanwhile
            With them.
        """
        if changed := self.changed():
            raise ChangedMeanwhile.of(changed, name)

    def commit(self, *, show_last: bool) -> None:
        """Run the commits, and the rest of the cell.

        Raises
        ------
        BaseException
            Whatever the cell raises.
        """
        plan, cell = self._plan, self._cell
        self._begin.args = [ast.copy_location(ast.Constant(_SENT), self._begin)]
        rest = CellPlan(ast.Module(body=plan.tree.body[self._at :], type_ignores=[]), plan.loops)
        cell.engine, cell.options = self._engine, self._options
        warned = self._warned
        run_cell(rest, cell, show_last=show_last, warned=warned, begun=self._loop)

    def _fingerprints(self) -> Iterator[tuple[str, Any]]:
        namespace = self._cell.namespace
        for name in sorted(self._loop.names & namespace.keys()):
            yield name, fingerprint(namespace[name], Side(namespace))


def _place(plan: CellPlan) -> tuple[int, ast.Call, PlannedLoop]:
    """Where a cell's first parallel loop is among its statements, how it begins, and the loop.

    Raises
    ------
    NotParallel
        If it isn't a ``for`` statement outside of all others.
    """
    first = next((i for i, s in enumerate(plan.tree.body) if _placeholders(s)), None)
    if first is not None:
        match plan.tree.body[first]:
            case ast.If(test=ast.Call(ast.Attribute(ast.Constant(str(owner)), "begin")) as begin):
                planned = {placeholder(p.number): p for p in plan.loops}
                if not any(map(_placeholders, begin.args)):
                    return first, begin, planned[owner]
    raise NotParallel(
        "`--bg` sends the work of the cell's first parallel loop, and that has to be a `for` "
        "statement outside of all others, over what is no comprehension. Nothing of the cell ran."
    )


def _names_in(node: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _placeholders(node: ast.AST) -> bool:
    mark = placeholder(0).partition("0")[0]
    constants = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
    return any(isinstance(value, str) and value.startswith(mark) for value in constants)


def _length(iterable: Any) -> int | None:
    try:
        return len(iterable) if hasattr(iterable, "__len__") else None
    except OverflowError:  # a range of more items than an index counts
        return None


def _chunk(length: int | None, workers: int) -> int:
    return _CHUNK if length is None else max(1, -(-length // (_CHUNKS_EACH * workers)))
