"""A cell from its source to its end: planned, compiled, run in the user's namespace."""

from __future__ import annotations

import ast
import inspect
import math
import types
import warnings
from collections.abc import Iterator
from typing import Any, Final

from mpmagic.cell.compiled import Warned, compiled
from mpmagic.cell.constants import Embedded, embed, placeholder
from mpmagic.cell.effects import Refusal
from mpmagic.cell.explain import why_refused
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.plan import CellPlan, PlannedLoop, RefusedLoop, plan_cell
from mpmagic.errors import NotParallel, UnsendableValue
from mpmagic.run.context import CellContext
from mpmagic.run.loop import LoopRun
from mpmagic.run.options import Options
from mpmagic.run.sendable import check_values
from mpmagic.run.tasks import TaskRun, unsendable_tasks
from mpmagic.run.tidying import tidy

__all__ = ["check_sendable", "refuse", "run_awaiting", "run_cell", "value_of"]

_ELSEWHERE: Final = (
    "The work would share the notebook's process, and with it displays, pyplot's figures and shell "
    "commands. With `--on processes` it doesn't, and the cell can be split"
)

Asked = tuple[dict[str, Any], Options]
"""The user's namespace, and what they ask for."""


def run_cell(
    plan: CellPlan,
    cell: CellContext,
    *,
    show_last: bool,
    warned: Warned | None = None,
    begun: LoopRun | None = None,
) -> None:
    """Run a planned cell in the user's namespace.

    Parameters
    ----------
    plan
        The plan.
    cell
        The cell.
    show_last
        Whether the value of a last expression is displayed.
    warned
        What the compiler warns of, in order.
    begun
        A loop of it that has begun already.

    Raises
    ------
    BaseException
        Whatever the cell raises, with the traceback that the serial cell would have.
    """
    runs = _embedded(plan, cell, begun)
    try:
        for code in _codes(plan, cell, runs, show_last=show_last, warned=warned):
            exec(code, cell.namespace)
        cell.fence.check()
    except BaseException as error:
        _end(error, cell)
        raise
    finally:
        _let_go(runs, cell)


async def run_awaiting(
    plan: CellPlan, cell: CellContext, *, show_last: bool, warned: Warned | None = None
) -> None:
    """The same for a cell whose own code awaits."""
    runs = _embedded(plan, cell)
    try:
        for code in _codes(plan, cell, runs, show_last=show_last, warned=warned):
            given = eval(code, cell.namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                await given
        cell.fence.check()
    except BaseException as error:
        _end(error, cell)
        raise
    finally:
        _let_go(runs, cell)


def value_of(
    plan: CellPlan,
    cell: CellContext,
    *,
    warned: Warned | None = None,
    begun: LoopRun | None = None,
) -> Any:
    """The value of a planned cell that is one expression; takes what `run_cell` takes."""
    (statement,) = plan.tree.body
    assert isinstance(statement, ast.Expr)
    runs = _embedded(plan, cell, begun)
    try:
        for warning in warned or ():
            warnings.showwarning(*warning)
        code = compiled(ast.Expression(statement.value), cell.filename, "eval")
        value = eval(embed(code, runs), cell.namespace)
        cell.fence.check()
    except BaseException as error:
        _end(error, cell)
        raise
    finally:
        _let_go(runs, cell)
    return value


def _end(error: BaseException, cell: CellContext) -> None:
    """Give an exception that ends a cell the serial cell's traceback, and its note.

    No context manager can: `contextlib` gives it back the traceback that it came with.

    Raises
    ------
    MpmagicError
        In its place, what has stopped the cell.
    """
    cell.leave(error)
    cell.fence.raise_error()
    tidy(error)
    cell.origins.tell(error)


def _embedded(
    plan: CellPlan, cell: CellContext, begun: LoopRun | None = None
) -> dict[str, Embedded]:
    """The runs of a cell's loops and calls, for its code."""
    runs = {placeholder(p.number): Embedded(LoopRun(p, cell)) for p in plan.loops}
    if begun is not None:
        runs[placeholder(begun.planned.number)] = Embedded(begun)
    return runs | {placeholder(g.number): Embedded(TaskRun(g, cell)) for g in plan.groups}


def _let_go(runs: dict[str, Embedded], cell: CellContext) -> None:
    for run in runs.values():
        run.let_go()
    cell.origins.forget()  # exceptions, whose tracebacks lead to the cell


def _codes(
    plan: CellPlan,
    cell: CellContext,
    runs: dict[str, Embedded],
    *,
    show_last: bool,
    warned: Warned | None,
) -> Iterator[types.CodeType]:
    """The code of a cell, piece by piece."""
    body = plan.tree.body
    last: list[ast.stmt] = []
    if show_last and body and isinstance(body[-1], ast.Expr):
        body, last = body[:-1], body[-1:]
    for piece in _pieces(body, last, list(warned or ())):
        if piece:
            tree = ast.Module(body=piece, type_ignores=[])
            yield embed(compiled(tree, cell.filename, "exec", awaits=True), runs)
    if last:
        shown = ast.Interactive(body=last)
        yield embed(compiled(shown, cell.filename, "single", awaits=True), runs)


def _pieces(body: list[ast.stmt], last: list[ast.stmt], warned: Warned) -> Iterator[list[ast.stmt]]:
    """Statements to run at once: all, or each after what the compiler warns of in it."""
    if not warned:
        yield body
        return
    order = [*body, *last]
    ends = [following.lineno for following in order[1:]]
    for statement, end in zip(order, [*ends, math.inf], strict=True):
        while warned and warned[0][3] < end:
            warnings.showwarning(*warned.pop(0))
        yield [statement] if statement not in last else []


def refuse(plan: CellPlan, tree: ast.Module, text: str, asked: Asked) -> None:
    """Refuse a cell of which no loop can be split, and no calls can run side by side.

    Raises
    ------
    NotParallel
        With the reason and the listing.
    """
    if plan.loops or plan.groups:
        return
    why, (namespace, options) = why_refused(plan, text), asked
    if not options.apart:
        apart = options._replace(apart=True).allowances
        elsewhere = plan_cell(tree, namespace, apart, filename="<apart>")
        if elsewhere.loops or elsewhere.groups:
            why = why._replace(before=f"{why.before}\n{_ELSEWHERE}")
    raise NotParallel.of(why)


def check_sendable(plan: CellPlan, tree: ast.Module, text: str, asked: Asked) -> None:
    """Refuse a cell whose loops or calls all read something that can't be sent.

    Raises
    ------
    NotParallel
        With the object, the line that uses it, and the listing.
    """
    namespace, options = asked
    bound = {name for statement in tree.body for name in bound_names(statement)}
    refused = []
    for loop in plan.loops:
        try:
            check_values(loop.split.captured - bound, namespace, options.local)
        except UnsendableValue as error:
            at = _reading_line(loop, str(error))
            refused.append(_unsendable(loop.loop.lineno, at, str(error), "loop"))
    for group in plan.groups:
        unsendable = unsendable_tasks(group, bound, namespace, options)
        if not group.overlaps(frozenset(unsendable)):
            index, reason = next(iter(unsendable.items()))
            line = group.tasks[index].node.lineno
            refused.append(_unsendable(line, line, reason, "call"))
    if refused and len(refused) == len(plan.loops) + len(plan.groups):
        without = CellPlan(tree, refused=refused + plan.refused)
        raise NotParallel.of(why_refused(without, text))


def _unsendable(line: int, at: int, reason: str, where: str) -> RefusedLoop:
    return RefusedLoop(line, Refusal(at, "", reason), f"make it inside the {where}")


def _reading_line(loop: PlannedLoop, message: str) -> int:
    for node in ast.walk(loop.loop):
        if isinstance(node, ast.Name) and message.startswith(f"`{node.id}`"):
            return node.lineno
    return loop.loop.lineno
