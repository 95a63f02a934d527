"""A commit's site: what the kernel knows of the temporaries when the loop ends there.

A commit may raise, break or skip the rest of its iteration. The serial loop would then leave
each private name with its last value up to that point. Names that the work binds only before the
site have it at the iteration's end too; names that it binds before and after (or again and again,
in a loop around the site) have it only there, so that the worker notes them at the site.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.jumps import jumps
from mpmagic.cell.unit import Stage, Unit

__all__ = ["Piece", "Site", "site_of"]


class Piece(NamedTuple):
    """What the kernel does with the outcome of what a worker ran ahead.

    Attributes
    ----------
    names
        Names that it binds, in the order of the values; an expression's value has an empty one.
    keyed
        Those under whose values something is looked up.
    spare
        Those that no commit reads: one whose value can't travel is no reason to fail.
    """

    names: tuple[str, ...] = ()
    keyed: frozenset[str] = frozenset()
    spare: frozenset[str] = frozenset()


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
        Those that it binds before it, and binds or changes after it.
    changed
        Those of them whose very objects it may change after it.
    state
        Position in the event of their values at the site; 0 where they aren't noted.
    pieces
        By the position of the operand: what may be run ahead.
    """

    operands: tuple[ast.expr, ...]
    before: frozenset[str]
    unsure: tuple[str, ...]
    state: int = 0
    pieces: Mapping[int, Piece] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


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
    changed = _changed_after(unit, dependence)
    unsure = tuple(sorted(((before & (after | changed)) | around) & private))
    # What has been done in the worker can't fail.
    done = unit.mirrored or (unit.stage is Stage.PREPARE and not fails)
    can_end = jumps(unit.node) or fails or not dependence.surely_commits(unit)
    noted = bool(unsure) and can_end and not done
    return Site(
        operands=tuple(operands),
        before=frozenset((before - after - around - changed) & private),
        unsure=unsure,
        state=len(operands) + 1 if noted else 0,
        changed=tuple(name for name in unsure if name in changed),
    )


def _changed_after(unit: Unit, dependence: Dependence) -> set[str]:
    """Names of which the work may change the objects after a commit.

    What commits change in their turn is the kernel's: the very objects that it was sent.
    """
    order = dependence.every_unit()
    later = dependence.following(order, order.index(unit))
    begun = [u for first in unit.first_work() for u in first.walk()] if unit.attempted else []
    worked = (u for u in later if u not in begun and (u.stage is not Stage.COMMIT or u.mirrored))
    mutated = {name for other in worked for name in other.header.mutates}
    roots = {root for name in mutated for root in dependence.alias_roots(name)}
    return {n for n in dependence.whole.binds if not roots.isdisjoint(dependence.alias_roots(n))}


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
