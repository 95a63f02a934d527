"""A commit's site: what the kernel knows of the temporaries when the loop ends there.

A commit may raise, break or skip the rest of its iteration. The serial loop would then leave
each private name with its last value up to that point. Names that the work binds only before the
site have it at the iteration's end too; names that it binds before and after (or again and again,
in a loop around the site) have it only there, so that the worker notes them at the site.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.jumps import jumps
from mpmagic.cell.unit import Unit

__all__ = ["Site", "site_of"]


@dataclass(frozen=True, slots=True)
class Site:
    """One commit of a split loop.

    Attributes
    ----------
    operands
        The expressions whose values the worker sends for it.
    before
        Private names that the work binds before it and not after it.
    unsure
        Those that it binds before and after it.
    state
        Position in the event of their values at the site; 0 where they aren't noted.
    """

    operands: tuple[ast.expr, ...]
    before: frozenset[str]
    unsure: tuple[str, ...]
    state: int = 0


def site_of(
    unit: Unit, operands: Sequence[ast.expr], dependence: Dependence, *, fails: bool
) -> Site:
    """Describe the site of a commit; `fails` if what the kernel evaluates of it may raise."""
    order = dependence.every_unit()
    at = order.index(unit)
    before = {n for u in order[:at] for n in u.header.binds}
    after = {n for u in order[at:] for n in u.header.binds}
    around = _bound_around(unit, dependence)
    private = dependence.private if dependence.element is None else set()
    if unit.attempted:  # it has begun already
        around |= {n for u in unit.first_work() for n in u.whole().binds}
    unsure = tuple(sorted(((before & after) | around) & private))
    # A mirrored store has been made in the worker: it can't fail.
    can_end = jumps(unit.node) or fails or not dependence.surely_commits(unit)
    noted = bool(unsure) and can_end and not unit.mirrored
    return Site(
        operands=tuple(operands),
        before=frozenset((before - after - around) & private),
        unsure=unsure,
        state=len(operands) + 1 if noted else 0,
    )


def _bound_around(unit: Unit, dependence: Dependence) -> set[str]:
    """Names that a loop inside the body, around the commit, binds again and again."""
    loops = (
        other
        for other in dependence.every_unit()
        if isinstance(other.node, ast.For | ast.While)
        and other is not unit
        and any(inner is unit for inner in other.walk())
    )
    return {n for loop in loops for n in loop.whole().binds}
