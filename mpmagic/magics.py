"""The magics: options in, calls out."""

from __future__ import annotations

import argparse
import ast
import contextlib
from collections.abc import Awaitable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from mpmagic import completion
from mpmagic.awaiting import awaits_itself, first_await, have_awaited
from mpmagic.cellsource import parsed, placed
from mpmagic.celltext import keep_text
from mpmagic.count.options import new_parser
from mpmagic.helppage import documented_by
from mpmagic.options import check_names, parallel_parser, parse, pool_parser

if TYPE_CHECKING:
    from mpmagic.cell.compiled import Warned
    from mpmagic.cell.plan import CellPlan
    from mpmagic.count import Counts
    from mpmagic.engine.choosing import Chooser
    from mpmagic.pool import Pool
    from mpmagic.run.context import CellContext
    from mpmagic.run.engine import Engine
    from mpmagic.run.options import Options, RunReport
    from mpmagic.run.wait import Inbox
    from mpmagic.show.failing import ErrorsShown
    from mpmagic.show.pooltable import LiveTable, WorkerTable

__all__ = ["ParallelMagics", "register"]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell that was parsed: what it is, and what is asked of it."""

    filename: str
    text: str
    tree: ast.Module
    warned: Warned
    features: int
    given: argparse.Namespace


@magics_class
class ParallelMagics(Magics):  # type: ignore[misc]
    """``%%parallel``, ``%mpcount`` and ``%mppool``.

    Attributes
    ----------
    engine
        Where all cells run; None for what they, or ``%mppool --on``, say.
    last_run
        What became of the last parallel cell.
    """

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.engine: Engine | None = None
        self.last_run: RunReport | None = None
        self._pool: Pool | None = None
        self._inbox: Inbox | None = None
        self._chooser: Chooser | None = None
        self._on = ""
        self._method: str | None = None
        self._memory: int | None = None
        self._table: LiveTable | None = None
        self._errors_shown: ErrorsShown | None = None

    @no_var_expand  # type: ignore[untyped-decorator]
    @cell_magic  # type: ignore[untyped-decorator]
    @documented_by(parallel_parser())
    def parallel(self, line: str, cell: str) -> Awaitable[None] | None:
        from mpmagic.cell.compiled import features_in
        from mpmagic.cell.escapes import with_escapes
        from mpmagic.errors import NotParallel

        given = parse(parallel_parser(), line)
        filename, text, offset = placed(self.shell, line, cell)
        is_awaited = awaits_itself(filename)
        if given is None:
            return _nothing() if is_awaited else None
        keep_text(filename, text)
        tree, warned = parsed(self.shell, cell, filename, offset)
        features = self.shell.compile.flags | features_in(tree)
        tree = with_escapes(tree, self.shell)
        whole = _Cell(filename, text, tree, warned, features, given)
        line_of_await = first_await(tree)
        if is_awaited:
            return self._run_awaiting(whole)
        if line_of_await and not given.explain:
            raise NotParallel(
                f"line {line_of_await}: a cell that awaits has to begin with `%%parallel`, and "
                f"this one is run by other code. Nothing of it ran."
            )
        self._run(whole)
        return None

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_magic  # type: ignore[untyped-decorator]
    @documented_by(new_parser("%mpcount"))
    def mpcount(self, line: str) -> Counts | None:
        from mpmagic.count.magic import mpcount

        return mpcount(line, self.shell, expand=True, executor_on=self._executor_on)

    @line_magic  # type: ignore[untyped-decorator]
    @documented_by(pool_parser())
    def mppool(self, line: str) -> Any:
        given = parse(pool_parser(), line)
        if given is None:
            return None
        if given.on is not None:
            self._engine_on(given.on, given.workers)  # to say at once what is wrong with it
            self._on = given.on
        if given.what == "stop" or given.start is not None or given.memory is not None:
            self.close()
            self._method = given.start or self._method
            self._memory = given.memory or self._memory
        elif given.what == "restart" and self._pool is not None:
            self._pool.restart()
        if given.workers is not None and self._named(None) == "processes":
            self._own_pool(given.workers).grow(given.workers)
        return self._worker_table()

    def close(self) -> None:
        """Stop the workers."""
        self._freeze_table()
        if self._chooser is not None:
            self._chooser.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    # -- the workers ---------------------------------------------------------------------------

    def _worker_table(self) -> WorkerTable | None:
        """The table; None in a notebook, where it's displayed already, and goes on living."""
        from mpmagic.show.pooltable import LiveTable, WorkerTable

        self._freeze_table()
        if self._pool is None or not LiveTable.can_live(self.shell):
            return WorkerTable(self._pool.workers() if self._pool is not None else [])
        self._table = LiveTable(self.shell.display_pub)
        self._table.show(self._pool)
        return None

    def _freeze_table(self) -> None:
        if self._table is not None:
            self._table.freeze()

    def _named(self, on: str | None) -> str:
        return on or self._on or "processes"

    def _engine_on(self, on: str | None, workers: int | None) -> Engine:
        """The engine that a magic names, or the default one."""
        from mpmagic.engine.choosing import Chooser

        if self._chooser is None:
            self._chooser = Chooser(self._own_pool, self._own_inbox())
        return self._chooser.choose(self._named(on), self.shell.user_ns, workers)

    def _executor_on(self, on: str | None) -> Any:
        """The executor that ``%mpcount`` runs on, if it isn't to make one of its own."""
        if self._named(on) == "processes":
            return self._pool
        return self._engine_on(on, None).executor

    def _own_inbox(self) -> Inbox:
        from mpmagic.run.wait import Inbox

        if self._inbox is None:
            self._inbox = Inbox()
        return self._inbox

    # -- a parallel cell -----------------------------------------------------------------------

    def _run(self, cell: _Cell) -> None:
        from mpmagic.run.cell import run_cell

        with self._ready(cell) as planned:
            if planned is not None:
                run_cell(*planned, show_last=self._shows_last(cell.text), warned=cell.warned)

    async def _run_awaiting(self, cell: _Cell) -> None:
        from mpmagic.run.cell import run_awaiting

        with self._ready(cell) as planned:
            if planned is not None:
                last = self._shows_last(cell.text)
                await run_awaiting(*planned, show_last=last, warned=cell.warned)

    @contextlib.contextmanager
    def _ready(self, cell: _Cell) -> Iterator[tuple[CellPlan, CellContext] | None]:
        """Around a cell's plan and run; the plan, unless nothing is to run.

        Errors are shown as a user is to see them.

        Raises
        ------
        NotParallel
            If it's not to run.
        """
        from mpmagic.cell.compiled import features_on
        from mpmagic.show.cellview import CellView
        from mpmagic.show.explain import refusals_shown

        with self._errors().shown(), refusals_shown(self.shell), features_on(cell.features):
            engine = self._engine_for(cell.given)
            options = _options_of(cell.given, engine)
            plan = self._planned(cell, options)
            if plan is None:
                yield None
                return
            with nullcontext() if engine is None else engine.session():
                plan, serial = self._checked(plan, cell, options)
                context = self._context(cell, options, engine)
                self._tell(plan, context, serial)
                with CellView(self.shell, context, cell.given).shown():
                    yield plan, context

    def _planned(self, cell: _Cell, options: Options) -> CellPlan | None:
        """The plan of a cell; None if it's empty, or only to be explained."""
        from mpmagic.cell.explain import explained
        from mpmagic.cell.plan import plan_cell
        from mpmagic.show.explain import show_explanation

        tree, namespace = cell.tree, self.shell.user_ns
        self.last_run = None
        if not tree.body:
            return None
        check_names("--local", options.local, tree, namespace)
        check_names("--private", options.private, tree, namespace)
        plan = plan_cell(tree, namespace, options.allowances, cell.filename)
        if cell.given.explain:
            show_explanation(explained(plan, cell.text), self.shell)
            return None
        return plan

    def _engine_for(self, given: argparse.Namespace) -> Engine | None:
        """Where the cell runs; None for mpmagic's own pool, which starts when it's needed."""
        if self.engine is not None:
            return self.engine
        if self._named(given.on) == "processes":
            return None
        engine = self._engine_on(given.on, given.workers)
        if given.seed is not None:
            engine.check_seedable()
        return engine

    def _checked(self, plan: CellPlan, cell: _Cell, options: Options) -> tuple[CellPlan, str]:
        """The plan, or that of a serial cell and the reason, if it may be one.

        Raises
        ------
        NotParallel
            If it may not.
        """
        from mpmagic.cell.plan import CellPlan
        from mpmagic.errors import NotParallel
        from mpmagic.run.cell import check_sendable, refuse

        asked = self.shell.user_ns, options
        try:
            check_sendable(plan, cell.tree, cell.text, asked)
            refuse(plan, cell.tree, cell.text, asked)
        except NotParallel as reason:
            if not cell.given.or_serial:
                raise
            serial = "" if plan.refused else str(reason).partition("\n")[0]
            return CellPlan(cell.tree, [], plan.refused), serial
        return plan, ""

    def _tell(self, plan: CellPlan, context: CellContext, serial: str) -> None:
        from mpmagic.cell.compiled import features_in
        from mpmagic.cell.explain import told

        context.report.serial = serial
        context.report.stayed += [(r.line, told(r.refusal)) for r in plan.refused]
        self.last_run = context.report
        self.shell.compile.flags |= features_in(plan.tree)  # for the cells after it

    def _context(self, cell: _Cell, options: Options, engine: Engine | None) -> CellContext:
        from mpmagic.run.context import CellContext

        workers = options.workers or self._default_workers() if engine is None else engine.workers
        return CellContext(
            namespace=self.shell.user_ns,
            filename=cell.filename,
            text=cell.text,
            options=options,
            engine=lambda: engine or self._engine_on("processes", options.workers),
            workers=workers,
            inbox=self._own_inbox(),
            verbose=self.shell.InteractiveTB.mode == "Verbose",
        )

    def _default_workers(self) -> int:
        from mpmagic.pool import cpu_count

        return self._pool.max_workers if self._pool is not None else cpu_count()

    def _own_pool(self, workers: int | None) -> Pool:
        from mpmagic.pool import Pool

        if self._pool is None:
            self._pool = Pool(
                workers, mp_context=self._method, memory_limit=self._memory, daemon=True
            )
        elif workers is not None and workers > self._pool.max_workers:
            self._pool.grow(workers)
        return self._pool

    def _errors(self) -> ErrorsShown:
        from mpmagic.show.failing import ErrorsShown

        if self._errors_shown is None:
            self._errors_shown = ErrorsShown(self.shell)
        return self._errors_shown

    def _shows_last(self, text: str) -> bool:
        if self.shell.ast_node_interactivity == "none":
            return False
        return not self.shell.displayhook.semicolon_at_end_of_expression(text)


def _options_of(given: argparse.Namespace, engine: Engine | None) -> Options:
    from mpmagic.run.options import Options

    return Options(
        workers=given.workers,
        chunk=given.chunk,
        ahead=given.ahead,
        local=frozenset(given.local),
        private=frozenset(given.private),
        seed=given.seed,
        apart=engine is None or engine.is_apart,
    )


async def _nothing() -> None:
    """What a cell awaits that only asks for help."""


def register(shell: Any) -> None:
    """Register the magics with a shell, and the completion of their options."""
    shell.register_magics(ParallelMagics(shell))
    completion.register(shell)
    have_awaited(shell)
