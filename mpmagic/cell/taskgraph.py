"""A cell without a loop: which of its statements run side by side.

Adjacent statements of the form ``name = call(...)`` make a group, up to the next barrier. Within a
group a statement waits for those whose names it reads and for nothing else: none of them
changes what another one reads, and names are bound in the order of the source.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mpmagic.cell.constants import method_call
from mpmagic.cell.dependence import Allowances
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.syntax import locate_new
from mpmagic.cell.task import Kind, Task, task_of

__all__ = ["TaskGroup", "TaskPlan", "plan_tasks"]


class TaskGroup(NamedTuple):
    """Adjacent statements, some of which run side by side.

    Attributes
    ----------
    number
        Its place among the cell's groups.
    tasks
        Its statements: work and light calls.
    """

    number: int
    tasks: tuple[Task, ...]

    def beside(self, index: int) -> list[int]:
        """Indices of the work that may run at the same time as the work at `index`."""
        before = self._needs()
        return [
            i
            for i, other in enumerate(self.tasks)
            if other.kind is Kind.WORK
            and i != index
            and i not in before[index]
            and index not in before[i]
        ]

    def sources(self, index: int) -> list[int]:
        """Indices of the statements whose values the one at `index` reads."""
        before = range(index - 1, -1, -1)
        found = {
            next((i for i in before if name in self.tasks[i].binds), None)
            for name in self.tasks[index].effects.reads
        }
        return sorted(i for i in found if i is not None)

    def _needs(self) -> list[set[int]]:
        """For each statement those that it has to wait for, directly or through others."""
        needs: list[set[int]] = []
        for index in range(len(self.tasks)):
            direct = self.sources(index)
            needs.append(set(direct).union(*(needs[i] for i in direct)))
        return needs

    def overlaps(self, apart: frozenset[int] = frozenset()) -> bool:
        """Whether any two of its statements may run at the same time, those `apart` left out."""
        work = (i for i, t in enumerate(self.tasks) if t.kind is Kind.WORK and i not in apart)
        return any(set(self.beside(i)) - apart for i in work)


@dataclass(slots=True)
class TaskPlan:
    """What becomes of the statements of a cell without a loop.

    Attributes
    ----------
    body
        The kernel's form of them.
    groups
        The groups in it.
    kept
        Assigned calls that stay in the kernel.
    """

    body: list[ast.stmt] = field(default_factory=list)
    groups: list[TaskGroup] = field(default_factory=list)
    kept: list[Task] = field(default_factory=list)


def plan_tasks(
    statements: Sequence[ast.stmt], knowledge: Knowledge, allowances: Allowances
) -> TaskPlan:
    """Find the groups of a cell's statements.

    Parameters
    ----------
    statements
        The cell's; left as they are.
    knowledge
        What names stand for before the cell; it learns what the statements bind.
    allowances
        What the user allows.
    """
    plan, adjacent = TaskPlan(), list[Task]()
    for statement in statements:
        task = task_of(statement, knowledge, allowances)
        knowledge.note_statement(statement)
        if task is not None and task.kind is not Kind.BARRIER:
            adjacent.append(task)
            continue
        _close(plan, adjacent)
        adjacent = []
        plan.body.append(statement)
        if task is not None:
            plan.kept.append(task)
    _close(plan, adjacent)
    return plan


def _close(plan: TaskPlan, tasks: list[Task]) -> None:
    """End a group, which stays as it is if nothing in it overlaps."""
    group = TaskGroup(len(plan.groups), tuple(tasks))
    if group.overlaps():
        plan.groups.append(group)
        plan.body.append(_kernel_form(group))
    else:
        plan.body += [task.node for task in tasks]
        plan.kept += tasks


def _kernel_form(group: TaskGroup) -> ast.stmt:
    """The statements with what a worker gives in the place of each call that was sent."""
    body: list[ast.stmt] = []
    for index, task in enumerate(group.tasks):
        number, call = ast.Constant(index), task.node.value
        choice = ast.IfExp(
            test=method_call(group.number, "is_away", number),
            body=method_call(group.number, "value", number),
            orelse=call,
        )
        statement = copy.copy(task.node)
        statement.value = ast.copy_location(choice, call)
        body.append(statement)
    opened = ast.withitem(context_expr=method_call(group.number, "begin"))
    first = group.tasks[0].node
    form = ast.copy_location(ast.With(items=[opened], body=body), first)
    locate_new(form, first.lineno)
    return form
