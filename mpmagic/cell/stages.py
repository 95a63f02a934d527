"""The stages of a loop's body: which units are work, and which are commits.

A unit that touches a kernel name is a commit, and what a commit binds is a kernel name too: the
classes grow from their seeds to a fixed point.
"""

from __future__ import annotations

from mpmagic.cell.compound import check_compound
from mpmagic.cell.counters import Uncountable, are_sound
from mpmagic.cell.dependence import Dependence, Unsplittable
from mpmagic.cell.effects import FIGURE
from mpmagic.cell.escape import keep_escaped
from mpmagic.cell.handover import Handover
from mpmagic.cell.implicit import seed_implicit
from mpmagic.cell.order import guard, keep_order, keep_outside_order
from mpmagic.cell.preparing import NotAhead, is_kept_apart, seed_prepared
from mpmagic.cell.refusing import (
    refuse_at_once,
    refuse_breaks,
    refuse_draws,
    refuse_partly_taken_back,
    refuse_private_in_commits,
)
from mpmagic.cell.seeds import (
    seed_carried,
    seed_deleted,
    seed_element,
    seed_mutated,
    seed_staying,
    walk_flow,
)
from mpmagic.cell.sliced import keep_sliced, seed_sliced
from mpmagic.cell.unit import Stage, Unit

__all__ = ["staged", "staged_with_locks"]


def staged(dependence: Dependence) -> Dependence:
    """The same, each unit of its body with its stage.

    Raises
    ------
    Unsplittable
        If the loop can't be split.
    NotAhead
        If something was to run ahead that can't.
    """
    refuse_at_once(dependence)
    walk_flow(dependence)
    seed_prepared(dependence)
    if dependence.draws and not dependence.prepared.draws:
        raise NotAhead  # they aren't to be set apart
    refuse_draws(dependence)
    seed_carried(dependence)
    seed_deleted(dependence)
    seed_staying(dependence)
    seed_sliced(dependence)
    seed_implicit(dependence)
    seed_mutated(dependence)
    if dependence.element is not None:
        seed_element(dependence)
    _grow(dependence)
    if not is_kept_apart(dependence):
        raise NotAhead
    refuse_partly_taken_back(dependence)
    refuse_private_in_commits(dependence)
    refuse_breaks(dependence)
    return dependence


def staged_with_locks(dependence: Dependence) -> Dependence:
    """The same for a loop whose work enters locks that the workers share.

    Raises
    ------
    Uncountable
        If it has to be split as if they couldn't: what it does under them isn't the work's alone.
    """
    if not are_sound(dependence.whole, dependence.iterable, dependence.knowledge):
        raise Uncountable
    try:
        staged(dependence)
    except Unsplittable:
        raise Uncountable from None
    locked = [u for u in dependence.every_unit() if u.is_locked]
    # What is done under a lock isn't torn apart.
    if any(inner.stage is Stage.COMMIT for u in locked for inner in u.walk()):
        raise Uncountable
    return dependence


def _grow(dependence: Dependence) -> None:
    handover = Handover(dependence)
    before = -1
    while before != _size(dependence):
        _spread(dependence)
        before = _size(dependence)
        keep_order(dependence)
        keep_outside_order(dependence)
        keep_escaped(dependence)
        keep_sliced(dependence)
        handover.keep()
        _keep_open_figures(dependence)


def _keep_open_figures(dependence: Dependence) -> None:
    """Figures that a commit may leave open, since it raises while they are, are the kernel's."""
    if FIGURE not in dependence.whole.binds or FIGURE in dependence.kernel:
        return
    order = dependence.every_unit()
    touching = [i for i, unit in enumerate(order) if FIGURE in unit.header.touched()]
    for unit in order[touching[0] : touching[-1]]:
        if unit.stage is Stage.COMMIT and not dependence.surely_commits(unit):
            why = f"line {unit.node.lineno}, a commit, might raise while a figure is open"
            dependence.kernel.setdefault(FIGURE, why)


def _spread(dependence: Dependence) -> None:
    """Make commits of what touches the kernel's names, until no more names become the kernel's."""
    before = -1
    while before != (now := _size(dependence)):
        before = now
        for unit in dependence.units:
            _visit(dependence, unit)
        if not dependence.allowances.ahead:
            guard(dependence, dependence.units, "")


def _size(dependence: Dependence) -> int:
    """What grows with each change: the kernel's names, and the commits."""
    commits = sum(unit.stage is Stage.COMMIT for unit in dependence.every_unit())
    return len(dependence.kernel) + commits


def _visit(dependence: Dependence, unit: Unit) -> None:
    if unit.stage is not Stage.WORK:
        return
    # The names of an attempt's handlers are the kernel's, and so are its handlers.
    why = "" if unit.attempted else dependence.touches_kernel(unit.header)
    if why:
        dependence.commit(unit, why)
        return
    for block in unit.blocks:
        for inner in block:
            _visit(dependence, inner)
    check_compound(dependence, unit)
