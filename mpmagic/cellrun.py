"""A parallel cell, or a parallel expression, from what was asked to what became of it."""

from __future__ import annotations

import argparse
import ast
import contextlib
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mpmagic.options import check_names, is_plain
from mpmagic.refusals import (
    check_background,
    check_each_cell,
    check_residents,
    check_resumable,
    check_tries,
)

if TYPE_CHECKING:
    from mpmagic.cell.compiled import Warned
    from mpmagic.cell.plan import CellPlan
    from mpmagic.errors import NotParallel
    from mpmagic.run.brief import Look
    from mpmagic.run.context import CellContext
    from mpmagic.run.engine import Engine
    from mpmagic.run.options import Options, RunReport
    from mpmagic.show.failing import ErrorsShown
    from mpmagic.workforce import Workforce

__all__ = ["CellRunner", "ParsedCell"]


class ParsedCell(NamedTuple):
    """A cell that was parsed: what it is, and what is asked of it.

    Attributes
    ----------
    line
        Of one that is an expression in a line magic, that line; 0 for a whole cell.
    """

    filename: str
    text: str
    tree: ast.Module
    warned: Warned
    features: int
    given: argparse.Namespace
    line: int = 0


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
    engine
        Where all cells run; None for what they, or ``%mppool --on``, say.
    sends_all
        Whether cells are planned, and their work is sent, even if workers are no help with it.
    last_run
        What became of the last parallel cell.
    """

    def __init__(self, shell: Any, workforce: Workforce) -> None:
        self._shell = shell
        self._workforce = workforce
        self._errors_shown: ErrorsShown | None = None
        self.engine: Engine | None = None
        self.sends_all = False
        self.last_run: RunReport | None = None

    def prepare(self, given: argparse.Namespace) -> None:
        """Let workers begin to be made, while the planner is imported and looks at the cell."""
        force = self._workforce
        if self.engine is None and force.named(given.on) == "processes" and not given.explain:
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

        force, self.last_run = self._workforce, None
        if not cell.tree.body:
            return None
        with self._errors().shown(), features_on(cell.features):
            named = force.named(cell.given.on)
            check_each_cell(cell.tree, named if self.engine is None else "another engine")
            for warning in cell.warned:
                warnings.showwarning(*warning)
            pool = force.own_pool(cell.given.workers)
            pool.grow(pool.max_workers)
            context = self._context(cell, _options_of(cell.given, None), None)
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

        check_background(self._engine_for(cell.given))
        with self._judged(cell) as judged:
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

        self.last_run = context.report
        with (
            self._errors().shown(),
            features_on(cell.features),
            CellView(self._shell, context, cell.given).shown(),
        ):
            yield self._shows_last(cell)

    @contextlib.contextmanager
    def _ready(self, cell: ParsedCell) -> Iterator[tuple[CellPlan, CellContext] | None]:
        """Around a cell's plan and run; the plan, unless nothing is to run."""
        from mpmagic.show.cellview import CellView

        with self._judged(cell) as judged:
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

    @contextlib.contextmanager
    def _judged(self, cell: ParsedCell) -> Iterator[tuple[CellPlan, CellContext] | None]:
        """Around what is done with a cell's plan, unless nothing is to run.

        Errors are shown as a user is to see them.

        Raises
        ------
        NotParallel
            If it's not to run.
        """
        from mpmagic.cell.compiled import features_on
        from mpmagic.show.explain import refusals_shown

        with self._errors().shown(), refusals_shown(self._shell), features_on(cell.features):
            engine = self._engine_for(cell.given)
            options = _options_of(cell.given, engine, self._lacking(cell.tree))
            look = self._look(cell, engine)
            if look is not None and look.reason:
                as_it_is = self._as_it_is(cell, options, look)
                yield as_it_is
                look.ended(as_it_is[1].report)
                return
            plan = self._planned(cell, options)
            if plan is None:
                yield None
                return
            check_tries(plan, options, engine)
            lacking = self._lacking(cell.tree)
            check_residents(plan, cell.tree, lacking, self._shell.user_ns, engine)
            with nullcontext() if engine is None else engine.session():
                plan, serial = self._checked(plan, cell, options)
                context = self._context(cell, options, engine)
                self._tell(plan, context, serial)
                yield plan, context
                if look is not None:
                    look.ended(context.report)

    def _look(self, cell: ParsedCell, engine: Engine | None) -> Look | None:
        """A look at a cell that may run as it is if it's short, for all that the user has asked."""
        force = self._workforce
        if self.sends_all or engine is not None or force.each().names or not is_plain(cell.given):
            return None
        return force.brief().look((cell.text, cell.line), cell.tree, self._shell.user_ns)

    def _as_it_is(
        self, cell: ParsedCell, options: Options, look: Look
    ) -> tuple[CellPlan, CellContext]:
        """A cell that needn't be planned."""
        from mpmagic.cell.plan import CellPlan

        plan, context = CellPlan(cell.tree, []), self._context(cell, options, None)
        self._tell(plan, context, look.reason)
        context.report.is_news = look.is_news
        return plan, context

    def _lacking(self, tree: ast.Module) -> frozenset[str]:
        """Names that cells of ``--each`` have left in the workers, and the notebook hasn't.

        Nor will it have them by the end of the cell.
        """
        from mpmagic.cell.knowledge import bound_names

        names = self._workforce.each().names
        bound = [bound_names(node) for node in tree.body] if names else []
        return names.difference(self._shell.user_ns, *bound)

    def _planned(self, cell: ParsedCell, options: Options) -> CellPlan | None:
        """The plan of a cell; None if it's empty, or only to be explained."""
        from mpmagic.cell.explain import about_line, explained
        from mpmagic.cell.plan import plan_cell
        from mpmagic.show.explain import show_explanation

        tree, namespace = cell.tree, self._shell.user_ns
        self.last_run = None
        if not tree.body:
            return None
        check_names("--local", cell.given.local, tree, namespace)
        check_names("--private", options.private, tree, namespace)
        plan = plan_cell(tree, namespace, options.allowances, cell.filename)
        if cell.given.explain:
            explanation = explained(plan, cell.text)
            show_explanation(about_line(explanation, cell.line), self._shell)
            return None
        return plan

    def _engine_for(self, given: argparse.Namespace) -> Engine | None:
        """Where the cell runs; None for mpmagic's own pool, which starts when it's needed."""
        if self.engine is not None:
            return self.engine
        if self._workforce.named(given.on) == "processes":
            return None
        engine = self._workforce.engine_on(given.on, given.workers)
        if given.seed is not None:
            engine.check_seedable()
        return engine

    def _checked(self, plan: CellPlan, cell: ParsedCell, options: Options) -> tuple[CellPlan, str]:
        """The plan, or that of a serial cell and the reason, if it may be one.

        Raises
        ------
        NotParallel
            If it may not.
        """
        from mpmagic.cell.plan import CellPlan
        from mpmagic.errors import NotParallel
        from mpmagic.run.cell import check_sendable, refuse

        asked = self._shell.user_ns, options
        try:
            check_sendable(plan, cell.tree, cell.text, asked)
            refuse(plan, cell.tree, cell.text, asked)
        except NotParallel as error:
            reason = _refusal(error, plan, cell.line)
            if not cell.given.or_serial:
                raise reason from None
            serial = "" if plan.refused else str(reason).partition("\n")[0]
            return CellPlan(cell.tree, [], plan.refused), serial
        return plan, ""

    def _tell(self, plan: CellPlan, context: CellContext, serial: str) -> None:
        from mpmagic.cell.compiled import features_in
        from mpmagic.cell.explain import told

        context.report.serial = serial
        context.report.stayed += [(r.line, told(r.refusal)) for r in plan.refused]
        self.last_run = context.report
        self._shell.compile.flags |= features_in(plan.tree)  # for the cells after it

    def _context(self, cell: ParsedCell, options: Options, engine: Engine | None) -> CellContext:
        from mpmagic.run.context import CellContext

        force = self._workforce
        workers = options.workers or force.default_workers() if engine is None else engine.workers
        return CellContext(
            namespace=self._shell.user_ns,
            filename=cell.filename,
            text=cell.text,
            options=options,
            engine=lambda: engine or force.engine_on("processes", options.workers),
            workers=workers,
            inbox=force.inbox(),
            verbose=self._shell.InteractiveTB.mode == "Verbose",
            residents=force.each().names if engine is None else frozenset(),
            version=force.each().version,
            past=force.past(),
            sends_all=self.sends_all or not is_plain(cell.given),
        )

    def _errors(self) -> ErrorsShown:
        from mpmagic.show.failing import ErrorsShown

        if self._errors_shown is None:
            self._errors_shown = ErrorsShown(self._shell)
        return self._errors_shown

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


def _refusal(reason: NotParallel, plan: CellPlan, line: int) -> NotParallel:
    """The refusal of a cell; of an expression in a line magic, about that line."""
    from mpmagic.cell.explain import about_line, no_comprehension
    from mpmagic.errors import NotParallel

    if not line or reason.explanation is None:
        return reason
    if not plan.refused and not plan.loops:
        return NotParallel(no_comprehension(line))
    return NotParallel.of(about_line(reason.explanation, line))


def _ident(shell: Any) -> str:
    """By which the front end knows the cell that runs; empty where it doesn't say."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return str(parent.get("metadata", {}).get("cellId") or "")


def _options_of(
    given: argparse.Namespace, engine: Engine | None, lacking: frozenset[str] = frozenset()
) -> Options:
    from mpmagic.run.options import Options

    return Options(
        workers=given.workers,
        chunk=given.chunk,
        ahead=given.ahead,
        local=frozenset(given.local),
        private=frozenset(given.private),
        seed=given.seed,
        apart=engine is None or engine.is_apart,
        timeout=given.timeout,
        retries=given.retries,
        keep_going=given.keep_going,
        residents=lacking,
    )
