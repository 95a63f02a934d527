"""The magics: options in, calls out."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_magic,
    magics_class,
    no_var_expand,
    output_can_be_silenced,
)

from mpmagic import completion
from mpmagic.awaiting import awaits_itself, first_await, have_awaited, may_await
from mpmagic.cellrun import CellRunner
from mpmagic.cellsource import parsed, placed
from mpmagic.celltext import keep_text
from mpmagic.count.options import new_parser
from mpmagic.helppage import documented_by
from mpmagic.judging import ParsedCell
from mpmagic.linesource import placed_line, split_options, tree_of
from mpmagic.options import (
    check_background,
    check_each,
    commit_parser,
    expression_parser,
    parallel_parser,
    parse,
    pool_parser,
)
from mpmagic.workforce import Workforce

if TYPE_CHECKING:
    from mpmagic.count import Counts
    from mpmagic.run.engine import Engine
    from mpmagic.run.options import RunReport

__all__ = ["ParallelMagics", "register"]


@magics_class
class ParallelMagics(Magics):  # type: ignore[misc]
    """``%%parallel``, ``%parallel``, ``%mpcount`` and ``%mppool``."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._workforce = Workforce(shell)
        self._runner = CellRunner(shell, self._workforce)

    @property
    def engine(self) -> Engine | None:
        """Where all cells run; None for what they, or ``%mppool --on``, say."""
        return self._runner.judge.engine

    @engine.setter
    def engine(self, engine: Engine | None) -> None:
        self._runner.judge.engine = engine

    @property
    def sends_all(self) -> bool:
        """Whether cells are planned, and their work is sent, where workers are no help."""
        return self._runner.judge.sends_all

    @sends_all.setter
    def sends_all(self, sends_all: bool) -> None:
        self._runner.judge.sends_all = sends_all

    @property
    def last_run(self) -> RunReport | None:
        """What became of the last parallel cell."""
        return self._runner.judge.last_run

    @no_var_expand  # type: ignore[untyped-decorator]
    @cell_magic  # type: ignore[untyped-decorator]
    @documented_by(parallel_parser())
    def parallel(self, line: str, cell: str) -> Awaitable[None] | list[Any] | None:
        from mpmagic.cell.compiled import features_in
        from mpmagic.cell.escapes import with_escapes
        from mpmagic.errors import NotParallel

        given = parse(parallel_parser(), line)
        filename, text, offset = placed(self.shell, line, cell)
        is_awaited = awaits_itself(filename)
        if given is None:
            return _nothing() if is_awaited else None
        self._runner.prepare(given)
        keep_text(filename, text)
        tree, warned = parsed(self.shell, cell, filename, offset)
        features = self.shell.compile.flags | features_in(tree)
        tree = with_escapes(tree, self.shell)
        whole = ParsedCell(filename, text, tree, warned, features, given)
        line_of_await = first_await(tree) if may_await(cell) else 0
        if given.each:
            check_each(given)
            return self._runner.each(whole)
        if given.bg and not given.explain:
            check_background(given, line_of_await)
            self._runner.background(whole)
            return _nothing() if is_awaited else None
        if is_awaited:
            return self._runner.run_awaiting(whole)
        if line_of_await and not given.explain:
            raise NotParallel(
                f"line {line_of_await}: a cell that awaits has to begin with `%%parallel`, and "
                f"this one is run by other code. Nothing of it ran."
            )
        self._runner.run(whole)
        return None

    @output_can_be_silenced  # type: ignore[untyped-decorator]
    @no_var_expand  # type: ignore[untyped-decorator]
    @line_magic("parallel")  # type: ignore[untyped-decorator]
    @documented_by(expression_parser())
    def parallel_expression(self, line: str) -> Any:
        from IPython.core.error import UsageError

        from mpmagic.errors import NotParallel

        parser = expression_parser()
        options, expression = split_options(parser, line)
        given = parse(parser, options)
        if given is None:
            return None
        if not expression:
            raise UsageError(f"%parallel: an expression is missing\n{parser.format_usage()}")
        self._runner.prepare(given)
        place = placed_line(self.shell, line, expression)
        tree, warned = tree_of(self.shell, expression, place)
        if may_await(expression) and first_await(tree):
            raise NotParallel(
                f"line {place.line}: `%parallel` takes no expression that awaits. Gather what it "
                f"awaits before, or put `%%parallel` on top of the cell. Nothing of it ran."
            )
        flags = self.shell.compile.flags
        whole = ParsedCell(place.filename, place.text, tree, warned, flags, given, place.line)
        return self._runner.value(whole)

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_magic  # type: ignore[untyped-decorator]
    @documented_by(new_parser("%mpcount"))
    def mpcount(self, line: str) -> Counts | None:
        from mpmagic.count.magic import mpcount

        return mpcount(line, self.shell, expand=True, executor_on=self._workforce.executor_on)

    @line_magic  # type: ignore[untyped-decorator]
    @documented_by(pool_parser())
    def mppool(self, line: str) -> Any:
        given = parse(pool_parser(), line)
        if given is None:
            return None
        self._workforce.change(given)
        return self._workforce.table()

    @no_var_expand  # type: ignore[untyped-decorator]
    @line_magic  # type: ignore[untyped-decorator]
    @documented_by(commit_parser())
    def mpcommit(self, line: str) -> None:
        given = parse(commit_parser(), line)
        if given is not None:
            self._runner.commit(given.name, anyway=given.anyway)

    def close(self) -> None:
        """Stop the workers."""
        self._workforce.close()


async def _nothing() -> None:
    """What a cell awaits that only asks for help."""


def register(shell: Any) -> None:
    """Register the magics with a shell, and the completion of their options."""
    shell.register_magics(ParallelMagics(shell))
    completion.register(shell)
    have_awaited(shell)
