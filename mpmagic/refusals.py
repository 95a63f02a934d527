"""Refusals that come of options, such as ``--each``, before anything of a cell ran."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from mpmagic.awaiting import first_await
from mpmagic.errors import NotParallel

if TYPE_CHECKING:
    from mpmagic.cell.plan import CellPlan
    from mpmagic.run.engine import Engine
    from mpmagic.run.options import Options

__all__ = [
    "check_background",
    "check_each_cell",
    "check_residents",
    "check_resumable",
    "check_tries",
]

_NOTHING = "Nothing of the cell ran."


def check_each_cell(tree: ast.Module, engine: str) -> None:
    """Refuse a cell of ``--each`` that workers can't run.

    Parameters
    ----------
    tree
        The cell.
    engine
        The name of the engine that it would run on.

    Raises
    ------
    NotParallel
        If that isn't the notebook's own pool, or if only the kernel can run the cell.
    """
    from mpmagic.cell.eachcode import line_of_magic

    if engine != "processes":
        raise NotParallel(
            f"`--each` prepares the processes of mpmagic's own pool, and the work of this cell "
            f"would run elsewhere ({engine}). Use `--on processes`. {_NOTHING}"
        )
    if line := first_await(tree):
        raise NotParallel(f"line {line}: a cell of `--each` can't await in a worker. {_NOTHING}")
    if line := line_of_magic(tree):
        raise NotParallel(
            f"line {line}: magics and shell commands are the kernel's; a worker can't run them. "
            f"Put them into a cell of their own. {_NOTHING}"
        )


def check_background(engine: Engine | None) -> None:
    """Refuse ``--bg`` where work ends with its cell.

    Raises
    ------
    NotParallel
        If it does.
    """
    if engine is not None and not engine.outlasts_cells:
        raise NotParallel(
            f"`--bg` has work go on when the cell has ended, which processes of mpmagic's own pool "
            f"can. Use `--on processes`. {_NOTHING}"
        )


def check_tries(plan: CellPlan, options: Options, engine: Engine | None) -> None:
    """Refuse what can't be kept of ``--timeout``, ``--retries`` and ``--keep-going``.

    Parameters
    ----------
    plan
        The cell's.
    options
        What the user asks for.
    engine
        Where the cell runs; None for mpmagic's own pool.

    Raises
    ------
    NotParallel
        With the reason.
    """
    if not options.alone:
        return
    if options.timeout is not None and engine is not None and not engine.can_limit:
        raise NotParallel(
            f"`--timeout` has to end work that takes too long, which can be done to processes of "
            f"mpmagic's own pool only. Use `--on processes`. {_NOTHING}"
        )
    if plan.groups:
        raise NotParallel(
            f"`--timeout`, `--retries` and `--keep-going` are about the iterations of loops, and "
            f"the cell has none. {_NOTHING}"
        )
    if options.keep_going and plan.loops:
        _check_keep_going(plan)


def check_resumable(plan: CellPlan) -> None:
    """Refuse ``--resume`` for a cell of which nothing would be kept.

    Raises
    ------
    NotParallel
        If no loop of it is split.
    """
    if not plan.loops:
        raise NotParallel(
            f"`--resume` keeps the iterations of loops that are split, and the cell has none "
            f"(`--explain` shows what it has). {_NOTHING}"
        )


def _check_keep_going(plan: CellPlan) -> None:
    statements = [loop for loop in plan.loops if loop.element is None]
    if not statements:
        raise NotParallel(
            f"line {plan.loops[0].loop.lineno}: `--keep-going` leaves out iterations that fail, "
            f"and a comprehension's value would lack their elements. Write a `for` statement that "
            f"collects what there is. {_NOTHING}"
        )
    for loop in statements:
        if loop.split.ahead is not None or loop.split.prepared.draws:
            raise NotParallel(
                f"line {loop.loop.lineno}: state of the loop runs ahead of its work, and would "
                f"hold what those iterations have left that `--keep-going` leaves out "
                f"(`--explain` shows it). Compute it before the loop. {_NOTHING}"
            )


def check_residents(
    plan: CellPlan,
    tree: ast.Module,
    lacking: frozenset[str],
    namespace: dict[str, Any],
    engine: Engine | None,
) -> None:
    """Refuse a cell that needs, where it isn't, what only the workers have.

    Parameters
    ----------
    plan, tree
        The cell's.
    lacking
        Names that cells of ``--each`` have left in the workers, and neither notebook nor cell has.
    namespace
        The user's.
    engine
        Where the cell runs; None for the pool whose workers have them.

    Raises
    ------
    NotParallel
        With the line and the name.
    """
    from mpmagic.cell.residents import first_read, needed_in_kernel

    if not lacking:
        return
    if engine is not None:
        if found := first_read(tree, lacking):
            raise NotParallel(
                f"line {found[0]}: `{found[1]}` is in the workers of `--on processes` alone, where "
                f"a cell of `--each` left it. {_NOTHING}"
            )
    elif needed := needed_in_kernel(plan, lacking, namespace):
        line, name, through = needed
        what = f"`{through}` reads `{name}`, which is" if through else f"`{name}` is"
        raise NotParallel(
            f"line {line}: {what} in the workers alone, where a cell of `--each` left it, and this "
            f"runs in the notebook's kernel. Use it in the work of a loop, or define it in the "
            f"notebook too. {_NOTHING}"
        )
