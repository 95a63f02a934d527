"""What to change, or which flag to use, so that a refused loop runs in parallel."""

from __future__ import annotations

import ast
from typing import Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import Refusal
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Unit

__all__ = ["AHEAD", "advice_for", "guarded_call"]

AHEAD: Final = "`--ahead` lets work run that the serial cell might have skipped"


def advice_for(unit: Unit, dependence: Dependence) -> str:
    """The way out for a loop whose work has all become the commit `unit`; empty if there is none.

    Parameters
    ----------
    unit
        The commit.
    dependence
        The stages of the loop.
    """
    guarded = "lets the iteration go on" in unit.why or isinstance(unit.node, ast.If)
    if guarded and not dependence.allowances.ahead:
        return AHEAD
    for name in sorted(unit.whole().mutates):
        if name in dependence.kernel and not dependence.alias_roots(name) & dependence.targets:
            return _own_copies(name, dependence)
    for name in sorted(unit.whole().binds):
        if name in dependence.flow.exposed and _bound_by_functions_only(name, unit):
            return f"`--local {name}` lets each worker keep its own, and doesn't send it back"
    return ""


def guarded_call(unit: Unit, dependence: Dependence) -> Refusal | None:
    """The first call of a commit that could be work, if only it ran in every iteration."""
    if not (unit.guarded or isinstance(unit.node, ast.If)) or dependence.allowances.ahead:
        return None
    body = unit.node.body if isinstance(unit.node, ast.If) else [unit.node]
    nodes = (n for statement in body for n in walk(statement))
    for call in (n for n in nodes if isinstance(n, ast.Call)):
        effects = dependence.scanner.scan([call])
        if effects.touched() & dependence.kernel.keys() or effects.kernel_only:
            continue
        text = ast.unparse(call)
        return Refusal(call.lineno, text, f"it runs only if shared state says so: {unit.why}")
    return None


def _own_copies(name: str, dependence: Dependence) -> str:
    if name in dependence.whole.binds:
        return ""
    return (
        f"`--private {name}` gives each iteration a copy of its own, of which the last one stays; "
        f"`--local {name}` lets each worker keep its own, and sends no change back"
    )


def _bound_by_functions_only(name: str, unit: Unit) -> bool:
    spelt = {n.id for n in unit.nodes if isinstance(n, ast.Name)}
    return name not in spelt
