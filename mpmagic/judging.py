"""What is to become of a parallel cell: how it's split and where it runs, or why it doesn't."""

from __future__ import annotations

import argparse
import ast
import contextlib
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from mpmagic.options import check_names, is_plain
from mpmagic.refusals import check_residents, check_tries

if TYPE_CHECKING:
    from mpmagic.cell.compiled import Warned
    from mpmagic.cell.plan import CellPlan
    from mpmagic.errors import NotParallel
    from mpmagic.plans import FormerPlan, Plans
    from mpmagic.run.brief import Look
    from mpmagic.run.context import CellContext
    from mpmagic.run.engine import Engine
    from mpmagic.run.options import Options, RunReport
    from mpmagic.show.failing import ErrorsShown
    from mpmagic.workforce import Workforce

__all__ = ["Judge", "ParsedCell", "options_of"]


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


class Judge:
    """Plans cells, and refuses those that can't be split.

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
        self._plans: Plans | None = None
        self.engine: Engine | None = None
        self.sends_all = False
        self.last_run: RunReport | None = None

    @contextlib.contextmanager
    def judged(self, cell: ParsedCell) -> Iterator[tuple[CellPlan, CellContext] | None]:
        """Around what is done with a cell's plan, unless nothing is to run.

        Errors are shown as a user is to see them.

        Raises
        ------
        NotParallel
            If it's not to run.
        """
        from mpmagic.cell.compiled import features_on
        from mpmagic.show.explain import refusals_shown

        with self.errors().shown(), refusals_shown(self._shell), features_on(cell.features):
            engine = self.engine_for(cell.given)
            options = options_of(cell.given, engine, self._lacking(cell.tree))
            look = self._look(cell, engine)
            if look is not None and look.reason:
                as_it_is = self._as_it_is(cell, options, look)
                yield as_it_is
                look.ended(as_it_is[1].report)
                return
            former = self._former(cell, options)
            plan = None if vars(cell.given).get("explain") else former.plan
            plan = plan or self._planned(cell, options)
            if plan is None:
                yield None
                return
            check_tries(plan, options, engine)
            lacking = self._lacking(cell.tree)
            check_residents(plan, cell.tree, lacking, self._shell.user_ns, engine)
            with nullcontext() if engine is None else engine.session():
                if former.plan is None:
                    plan, former.serial = self._checked(plan, cell, options)
                    if not vars(cell.given).get("bg"):  # the next one may run while this one does
                        former.keep(plan)
                context = self.context(cell, options, engine)
                self._tell(plan, context, former.serial)
                yield plan, context
                former.ended(context.report)
                if look is not None:
                    look.ended(context.report)

    def engine_for(self, given: argparse.Namespace) -> Engine | None:
        """Where the cell runs; None for mpmagic's own pool, which starts when it's needed."""
        if self.engine is not None:
            return self.engine
        if self._workforce.named(given.on) == "processes":
            return None
        engine = self._workforce.engine_on(given.on, given.workers)
        if given.seed is not None:
            engine.check_seedable()
        return engine

    def context(self, cell: ParsedCell, options: Options, engine: Engine | None) -> CellContext:
        """What the parts of the cell's run share."""
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

    def errors(self) -> ErrorsShown:
        """How errors are shown."""
        from mpmagic.show.failing import ErrorsShown

        if self._errors_shown is None:
            self._errors_shown = ErrorsShown(self._shell)
        return self._errors_shown

    def _look(self, cell: ParsedCell, engine: Engine | None) -> Look | None:
        """A look at a cell that may run as it is if it's short, for all that the user has asked."""
        force = self._workforce
        if self.sends_all or engine is not None or force.each().names or not is_plain(cell.given):
            return None
        return force.brief().look((cell.text, cell.line), cell.tree, self._shell.user_ns)

    def _former(self, cell: ParsedCell, options: Options) -> FormerPlan:
        """The plan that the cell had, if it's the same and so is what it is about."""
        from mpmagic.plans import PlanKey, Plans

        if self._plans is None:
            self._plans = Plans()
        allowances, or_serial = options.allowances, cell.given.or_serial
        is_its_text = not cell.line and not self._shell.ast_transformers
        words = "" if is_its_text else ast.dump(cell.tree)
        key = PlanKey(cell.filename, cell.text, words, cell.features, allowances, or_serial)
        return self._plans.look(key, cell.tree, self._shell.user_ns)

    def _as_it_is(
        self, cell: ParsedCell, options: Options, look: Look
    ) -> tuple[CellPlan, CellContext]:
        """A cell that needn't be planned."""
        from mpmagic.cell.plan import CellPlan

        plan, context = CellPlan(cell.tree, []), self.context(cell, options, None)
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
            # No name for it: with this frame in its traceback, all that the frame knows would
            # stay until garbage is collected.
            if not cell.given.or_serial:
                raise _refusal(error, plan, cell.line) from None
            serial = "" if plan.refused else _first_line(_refusal(error, plan, cell.line))
            return CellPlan(cell.tree, [], plan.refused), serial
        return plan, ""

    def _tell(self, plan: CellPlan, context: CellContext, serial: str) -> None:
        from mpmagic.cell.compiled import features_in
        from mpmagic.cell.explain import told

        context.report.serial = serial
        context.report.stayed += [(r.line, told(r.refusal)) for r in plan.refused]
        self.last_run = context.report
        self._shell.compile.flags |= features_in(plan.tree)  # for the cells after it


def _refusal(reason: NotParallel, plan: CellPlan, line: int) -> NotParallel:
    """The refusal of a cell; of an expression in a line magic, about that line."""
    from mpmagic.cell.explain import about_line, no_comprehension
    from mpmagic.errors import NotParallel

    if not line or reason.explanation is None:
        return reason
    if not plan.refused and not plan.loops:
        return NotParallel(no_comprehension(line))
    return NotParallel.of(about_line(reason.explanation, line))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def options_of(
    given: argparse.Namespace, engine: Engine | None, lacking: frozenset[str] = frozenset()
) -> Options:
    """The options of a cell, as its run takes them.

    Parameters
    ----------
    given
        What stands behind the magic.
    engine
        Where it runs; None for mpmagic's own pool.
    lacking
        Names that only the workers have.
    """
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
