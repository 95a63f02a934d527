"""The plans of cells that have run: a cell that is the same, on what is the same, keeps its plan.

What is wrong with a plan that is old shows when its loops are reached, for then they are planned
again; so the worst that comes of it is a loop that stays in the kernel. The next run is planned
from the beginning, to be refused as clearly as any.
"""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mpmagic.cell.dependence import Allowances
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.standing import Standing
from mpmagic.cell.syntax import walk

if TYPE_CHECKING:
    from mpmagic.cell.plan import CellPlan
    from mpmagic.run.options import RunReport

__all__ = ["FormerPlan", "PlanKey", "Plans"]

_CELLS: Final = 32


class PlanKey(NamedTuple):
    """What a plan is made of, besides what names stand for.

    Attributes
    ----------
    filename, text
        Of the cell.
    words
        Its tree in words, where the text doesn't tell that: of an expression in a line magic, which
        may have come from elsewhere, and of a cell that somebody transforms.
    features
        Of the compiler.
    allowances, or_serial
        What the user allows.
    """

    filename: str
    text: str
    words: str
    features: int
    allowances: Allowances
    or_serial: bool


@dataclass(slots=True)
class _Known:
    """A plan that a cell had.

    Attributes
    ----------
    plan
        The plan.
    serial
        Why all of the cell runs in the kernel; empty if it doesn't.
    standing
        What the names stood for.
    stayed
        Which loops have stayed in the kernel, and why; None as long as it hasn't ended.
    """

    plan: CellPlan
    serial: str
    standing: Standing
    stayed: list[tuple[int, str]] | None = None


class Plans:
    """Remembers them."""

    def __init__(self) -> None:
        self._known: OrderedDict[PlanKey, _Known] = OrderedDict()

    def look(self, key: PlanKey, tree: ast.Module, namespace: Mapping[str, Any]) -> FormerPlan:
        """Look for the plan of a cell that is to run."""
        nodes = walk(tree)
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= key.allowances.local | key.allowances.private
        resolve = Knowledge(namespace).resolve
        members = [resolve(node) for node in nodes if isinstance(node, ast.Attribute)]
        return FormerPlan(self._known, key, Standing(names, namespace, members))


class FormerPlan:
    """What there is of a cell from before.

    Parameters
    ----------
    known
        The plans.
    key, standing
        Of the cell that is to run.

    Attributes
    ----------
    plan
        Its plan; None if it has to be made.
    serial
        Why all of it runs in the kernel; empty if it doesn't.
    """

    def __init__(
        self, known: OrderedDict[PlanKey, _Known], key: PlanKey, standing: Standing
    ) -> None:
        self._all, self._key, self._standing = known, key, standing
        found = known.get(key)
        if found is not None and found.standing != standing:
            found = None
        self.plan = None if found is None else found.plan
        self.serial = "" if found is None else found.serial

    def keep(self, plan: CellPlan) -> None:
        """Remember the plan that was made, for the cell's next run."""
        if plan.groups:  # nothing looks at these again
            return
        self._all[self._key] = _Known(plan, self.serial, self._standing)
        self._all.move_to_end(self._key)
        if len(self._all) > _CELLS:
            self._all.popitem(last=False)

    def ended(self, report: RunReport) -> None:
        """Forget the plan, if what it left in the kernel isn't what it left there before."""
        known = self._all.get(self._key)
        if known is None:
            return
        if known.stayed not in (None, report.stayed):
            del self._all[self._key]
        known.stayed = report.stayed
