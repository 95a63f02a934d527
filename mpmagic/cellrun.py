"""A parallel cell, or a parallel expression, from what was asked to what became of it."""

from __future__ import annotations

import argparse
import ast
import contextlib
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpmagic.judging import Judge, ParsedCell, options_of
from mpmagic.refusals import check_background, check_each_cell, check_resumable

if TYPE_CHECKING:
    from mpmagic.cell.plan import CellPlan
    from mpmagic.run.context import CellContext
    from mpmagic.workforce import Workforce

__all__ = ["CellRunner"]


class CellRunner:
    """Runs parallel cells, one after the other.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
        The shell.
    workforce
        Who does the work.

    Attributes
    ----------
    judge
        Plans the cells, or refuses them.
    """

    def __init__(self, shell: Any, workforce: Workforce) -> None:
        self._shell = shell
        self._workforce = workforce
        self.judge = Judge(shell, workforce)

    def prepare(self, given: argparse.Namespace) -> None:
        """Let workers begin to be made, while the planner is imported and looks at the cell."""
        force = self._workforce
        if self.judge.engine is None and force.named(given.on) == "processes" and not given.explain:
            force.prepare(given.workers)

    def run(self, cell: ParsedCell) -> None:
        """Run a cell."""
        from mpmagic.run.cell import run_cell

        with self._ready(cell) as planned:
            if planned is not None:
                run_cell(*planned, show_last=self._shows_last(cell), warned=cell.warned)

    async def run_awaiting(self, cell: ParsedCell) -> None:
        """Run a cell whose own code awaits."""
        from mpmagic.run.cell import run_awaiting

        with self._ready(cell) as planned:
            if planned is not None:
                last = self._shows_last(cell)
                await run_awaiting(*planned, show_last=last, warned=cell.warned)

    def value(self, cell: ParsedCell) -> Any:
        """The value of a cell that is one expression; None if it's only explained."""
        from mpmagic.run.cell import value_of

        with self._ready(cell) as planned:
            return None if planned is None else value_of(*planned, warned=cell.warned)

    def each(self, cell: ParsedCell) -> list[Any] | None:
        """Run a cell in every worker; the values of its last expression there, if it has one.

        Raises
        ------
        NotParallel
            If it can't be; nothing of it ran.
        """
        from mpmagic.cell.compiled import features_on
        from mpmagic.cell.eachcode import each_code
        from mpmagic.run.eachrun import EachRun

        force, self.judge.last_run = self._workforce, None
        if not cell.tree.body:
            return None
        with self.judge.errors().shown(), features_on(cell.features):
            named = force.named(cell.given.on)
            check_each_cell(cell.tree, named if self.judge.engine is None else "another engine")
            for warning in cell.warned:
                warnings.showwarning(*warning)
            pool = force.own_pool(cell.given.workers)
            pool.grow(pool.max_workers)
            context = self.judge.context(cell, options_of(cell.given, None), None)
            run = EachRun(each_code(cell.tree, cell.filename), context, force.each(), force.renew)
            run.run(f"cell In[{self._shell.execution_count}]", _ident(self._shell))
        shown = self._shows_last(cell) and any(value is not None for value in run.values)
        return run.values if shown else None

    def background(self, cell: ParsedCell) -> None:
        """Start a cell whose commits will be asked for, and have the notebook know it by its name.

        Raises
        ------
        NotParallel
            If it can't be in the background.
        """
        from mpmagic.background import BackgroundCell
        from mpmagic.run.background import BackgroundRun

        check_background(self.judge.engine_for(cell.given))
        with self.judge.judged(cell) as judged:
            if judged is None:
                return
            plan, context = judged
            name, namespace = cell.given.bg, self._shell.user_ns
            run = BackgroundRun(plan, context)
            if isinstance(former := namespace.get(name), BackgroundCell):
                former.cancel()
            run.start(cell.warned)
            shown = partial(self._committing, cell, context)
            namespace[name] = BackgroundCell(name, run, context.inbox, shown)

    def commit(self, name: str, *, anyway: bool) -> None:
        """Run the commits of a cell in the background.

        Raises
        ------
        UsageError
            If the name is that of something else.
        """
        from IPython.core.error import UsageError

        from mpmagic.background import BackgroundCell

        cell = self._shell.user_ns.get(name)
        if not isinstance(cell, BackgroundCell):
            what = f"a {type(cell).__name__}" if name in self._shell.user_ns else "not there"
            if not name:
                raise UsageError("%mpcommit: a name is missing, that of a cell in the background")
            raise UsageError(
                f"%mpcommit: `{name}` is {what}, and no cell in the background; those are begun "
                f"with `%%parallel --bg NAME`"
            )
        cell.commit(anyway=anyway)

    @contextlib.contextmanager
    def _committing(self, cell: ParsedCell, context: CellContext) -> Iterator[bool]:
        """Around the commits of a cell in the background; whether its last value is shown."""
        from mpmagic.cell.compiled import features_on
        from mpmagic.show.cellview import CellView

        self.judge.last_run = context.report
        with (
            self.judge.errors().shown(),
            features_on(cell.features),
            CellView(self._shell, context, cell.given).shown(),
        ):
            yield self._shows_last(cell)

    @contextlib.contextmanager
    def _ready(self, cell: ParsedCell) -> Iterator[tuple[CellPlan, CellContext] | None]:
        """Around a cell's plan and run; the plan, unless nothing is to run."""
        from mpmagic.show.cellview import CellView

        with self.judge.judged(cell) as judged:
            if judged is None:
                yield None
                return
            plan, context = judged
            if cell.given.resume:
                check_resumable(plan)
                self._resume(cell.given.resume, context)
            view = CellView(self._shell, context, cell.given)
            with _kept(context), view.shown(), _resuming(context):
                yield judged

    def _resume(self, file: str, context: CellContext) -> None:
        from mpmagic.run.resume import KeptCell

        context.kept = KeptCell(Path(file).expanduser(), context)

    def _shows_last(self, cell: ParsedCell) -> bool:
        shown = self._shell.ast_node_interactivity
        is_value = bool(cell.tree.body) and isinstance(cell.tree.body[-1], ast.Expr)
        if shown == "none" or (shown == "last_expr" and not is_value):
            return False
        return not self._shell.displayhook.semicolon_at_end_of_expression(cell.text)


@contextlib.contextmanager
def _kept(context: CellContext) -> Iterator[None]:
    """Around all that is done while a file is held: however it ends, others can have it then."""
    try:
        yield
    finally:
        if context.kept is not None:
            context.kept.close()


@contextlib.contextmanager
def _resuming(context: CellContext) -> Iterator[None]:
    """Around a cell that may go on later; of one that comes to its end nothing is kept."""
    try:
        yield
    except BaseException:
        if context.kept is not None:
            context.kept.leave()
        raise
    if context.kept is not None:
        context.kept.finish()


def _ident(shell: Any) -> str:
    """By which the front end knows the cell that runs; empty where it doesn't say."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return str(parent.get("metadata", {}).get("cellId") or "")
