"""Sliced state, as long as each slot is one iteration's alone.

A store into a slot is a commit; a mirrored one is made in the worker too, on its copies. State is
given up as sliced, and shared after all, where the kernel alone can know what a slot holds.
"""

from __future__ import annotations

from mpmagic.cell.aliasing import is_called_twice
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.slices import find_slices
from mpmagic.cell.unit import Stage, Unit

__all__ = ["give_up_slices", "keep_sliced", "seed_sliced"]


def seed_sliced(dependence: Dependence) -> None:
    """Make commits of the stores into slots."""
    if dependence.element is not None or not dependence.knowledge.slicing:
        return
    units = dependence.every_unit()
    found = find_slices(units, dependence.targets, dependence.whole, dependence.scanner)
    apart = dependence.kernel.keys() | dependence.allowances.local | dependence.allowances.private
    dependence.slices = {n: s for n, s in found.items() if n not in apart}
    for unit in units:
        names = [n for n in unit.header.mutates if n in dependence.slices]
        if names:
            unit.mirrored = any(dependence.slices[n].mirrored for n in names)
            dependence.commit(unit, f"it stores into `{names[0]}` where no other iteration does")


def keep_sliced(dependence: Dependence) -> None:
    """Give up what the kernel alone can know the slots' content of."""
    if not dependence.slices:
        return
    order = dependence.every_unit()
    covered = {id(i) for u in order if u.blocks and u.stage is Stage.COMMIT for i in u.walk()}
    for at, unit in enumerate(order):
        touched = _reached_slices(dependence, unit)
        if not touched:
            continue
        why = ""
        if unit.mirrored:
            why = dependence.touches_kernel(unit.header) or (
                unit.why if id(unit) in covered else ""
            )
            if not why and is_called_twice(unit, dependence):
                why = f"line {unit.node.lineno} hands on what the kernel holds"
        elif unit.stage is Stage.COMMIT and _stored_later(dependence, order, at, touched):
            why = f"line {unit.node.lineno}, a commit, reads it before it is stored"
        if why:
            give_up_slices(dependence, unit, why)


def _reached_slices(dependence: Dependence, unit: Unit) -> set[str]:
    """Sliced names that a unit touches, by themselves or through what is taken from them."""
    names = unit.header.touched()
    return dependence.slices.keys() & {root for n in names for root in dependence.alias_roots(n)}


def give_up_slices(dependence: Dependence, unit: Unit, why: str) -> None:
    """What `unit` touches is shared state after all."""
    for name in _reached_slices(dependence, unit):
        del dependence.slices[name]
        dependence.kernel[name] = why
    for other in dependence.every_unit():
        other.mirrored = other.mirrored and any(
            n in dependence.slices for n in other.header.mutates
        )


def _stored_later(dependence: Dependence, order: list[Unit], at: int, names: set[str]) -> bool:
    """Whether a mirrored store to one of `names` may follow unit `at` in its iteration."""
    later = [u for u in dependence.following(order, at) if u.mirrored]
    return any(n in u.header.mutates for u in later for n in names)
