"""The cell with a mark on each line: where it runs, and why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from mpmagic.cell.effects import Refusal
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.listing import Explanation, Line
from mpmagic.cell.plan import CellPlan, PlannedLoop
from mpmagic.cell.task import Kind
from mpmagic.cell.unit import Stage, Unit
from mpmagic.cell.vocabulary import DRAIN, ITEM

__all__ = ["about_line", "explained", "no_comprehension", "told", "why_refused"]

_NEXT = "Nothing of the cell ran. `--or-serial` runs it as it is."


def explained(plan: CellPlan, text: str) -> Explanation:
    """Where each line of a planned cell runs, and what would let more of it run in the workers.

    Parameters
    ----------
    plan
        The plan.
    text
        The cell as it stands in the notebook, its magic line included.
    """
    advice = [f"line {r.refusal.line}: {r.advice}" for r in plan.refused if r.advice]
    return Explanation("", _listing(plan, text), "\n".join(advice))


def about_line(explanation: Explanation, line: int) -> Explanation:
    """The same for the expression of a line magic, which is all of that line; 0 for a cell."""
    if not line:
        return explanation
    lines = tuple(one for one in explanation.lines if one.number == line)
    after = explanation.after.replace("the cell ran", "the expression ran")
    return Explanation(explanation.before, lines, after)


def no_comprehension(line: int) -> str:
    """Why the expression of a line magic, which has nothing to split, is refused."""
    return (
        f"line {line}: the expression has no comprehension and no generator whose elements could "
        f"be computed side by side\n\n{_NEXT.replace('the cell', 'the expression')}"
    )


def _listing(plan: CellPlan, text: str) -> tuple[Line, ...]:
    marks: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for loop in plan.loops:
        if loop.element is not None:
            marks[loop.loop.lineno] = "work"
            reasons[loop.loop.lineno] = _of_elements(loop)
        _mark(loop.units, marks, reasons)
    for refused in plan.refused:
        marks[refused.line] = "kernel"
    lines = text.rstrip("\n").split("\n")
    _give_reasons(plan, reasons, len(lines))
    _mark_calls(plan, marks, reasons)
    return tuple(
        Line(number, line, marks.get(number, _unplanned(line)), reasons.get(number, ""))
        for number, line in enumerate(lines, 1)
    )


def _of_elements(loop: PlannedLoop) -> str:
    taken = [f"`{draw.text}`" for draw in loop.split.prepared.draws]
    ahead = f", {' and '.join(taken)} ahead of them, in order" if taken else ""
    disguised = any(name.startswith(ITEM) for name in bound_names(loop.loop.target))
    what = "the function is called" if disguised else "the elements are computed"
    return f"{what} by the workers{ahead}"


def _unplanned(line: str) -> str:
    """The mark of a line that no plan speaks of."""
    runs = line.strip() and not line.startswith("%") and not line.lstrip().startswith("#")
    return "kernel" if runs else ""


def _mark(units: Iterable[Unit], marks: dict[int, str], reasons: dict[int, str]) -> None:
    for unit in units:
        first, drawn = unit.node.lineno, ""
        if marks.get(first) == Stage.PREPARE.value:  # what the line draws is set apart
            drawn = reasons[first]
            if isinstance(getattr(unit.node, "value", None), ast.Name):
                continue
        for line in range(first, (unit.node.end_lineno or first) + 1):
            marks[line] = unit.stage.value
        if unit.stage is not Stage.WORK:
            reasons[first] = "; ".join(filter(None, [drawn, _why(unit)]))
        else:
            for block in unit.blocks:
                _mark(block, marks, reasons)


def _why(unit: Unit) -> str:
    """Why a commit is one, and what of it a worker computes all the same."""
    line = unit.node.lineno
    reason = _on_line(unit.why, line).removeprefix("it ")
    sent = ", ".join(f"`{_brief(operand)}`" for operand in unit.sent)
    return f"{sent} in a worker; {reason}" if sent else reason


def _brief(node: ast.AST) -> str:
    """The first line of a node's text; of what is drained for the kernel, its own."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == DRAIN:
        node = node.args[0]
    return ast.unparse(node).partition("\n")[0]


def _give_reasons(plan: CellPlan, reasons: dict[int, str], last: int) -> None:
    """Say why a loop stays at the line that keeps it, or else at the loop."""
    for refused in plan.refused:
        refusal = refused.refusal
        inside = refused.line <= refusal.line <= last
        at = refusal.line if inside else refused.line
        reason = _on_line(refusal.reason, at).removeprefix("it ") if inside else told(refusal)
        reasons.setdefault(at, reason)


def told(refusal: Refusal) -> str:
    """A refusal as a sentence: its line, what stands there, and why it can't be split."""
    reason = _on_line(refusal.reason, refusal.line).removeprefix("it ")
    if not refusal.name:
        return f"line {refusal.line}: {reason}"
    joint = ":" if reason == refusal.reason else ""  # else it goes on with a verb
    return f"line {refusal.line}: `{refusal.name.rstrip(':')}`{joint} {reason}"


def _on_line(reason: str, line: int) -> str:
    """A reason without the place that it names, where it is shown at that very place."""
    return re.sub(rf"^line {line}(?:, `[^`]*`,|[,:])? ", "", reason)


def _mark_calls(plan: CellPlan, marks: dict[int, str], reasons: dict[int, str]) -> None:
    for group in plan.groups:
        lines = [task.node.lineno for task in group.tasks]
        for index, task in enumerate(group.tasks):
            if task.kind is not Kind.WORK:
                continue
            for line in range(task.node.lineno, (task.node.end_lineno or task.node.lineno) + 1):
                marks[line] = "work"
            beside = [lines[i] for i in group.beside(index)]
            after = [lines[i] for i in group.sources(index)]
            said = [f"runs beside {_listed(beside)}"] if beside else []
            said += [f"waits for {_listed(after)}"] if after else []
            reasons[task.node.lineno] = ", ".join(said)
    for task in plan.kept:
        if task.why:
            reasons[task.node.lineno] = task.why


def _listed(lines: list[int]) -> str:
    *most, last = map(str, lines)
    return f"lines {', '.join(most)} and {last}" if most else f"line {last}"


def why_refused(plan: CellPlan, text: str) -> Explanation:
    """Why no loop of the cell can be split, and no two of its calls can run side by side."""
    if not plan.refused:
        return Explanation(_why_no_calls(plan), _listing(plan, text), _NEXT)
    first = plan.refused[0]
    said = [told(first.refusal), first.advice]
    return Explanation("\n".join(filter(None, said)), _listing(plan, text), _NEXT)


def _why_no_calls(plan: CellPlan) -> str:
    reasons = [f"line {t.node.lineno}: {t.why}" for t in plan.kept if t.why]
    why = f" ({reasons[0]})" if reasons else ""
    return (
        f"the cell has no loop at its top level, and no two adjacent statements of the form "
        f"`name = call(...)` that could run side by side{why}. Put such calls next to each other, "
        f"or into a loop."
    )
