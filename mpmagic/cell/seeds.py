"""The seeds of the kernel's names: state that iterations share before any commit makes more of it.

These are names whose value is carried from one iteration to a later one, and names from outside
whose object the body mutates. Names that lead to such an object are the kernel's with it; an object
that the iteration has made itself is its own.
"""

from __future__ import annotations

import ast

from mpmagic.cell.closing import closes_its_own
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import FIGURE, Mutation, Refusal
from mpmagic.cell.flow import Flow
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.made import makes_its_own
from mpmagic.cell.managers import Managers
from mpmagic.cell.unit import Stage, Unit

__all__ = [
    "new_flow",
    "seed_carried",
    "seed_deleted",
    "seed_element",
    "seed_mutated",
    "seed_staying",
    "walk_flow",
]


def walk_flow(dependence: Dependence) -> None:
    """Find out which values may come from the iteration before."""
    dependence.managers = Managers(dependence.knowledge, dependence.body, dependence.targets)
    dependence.flow = new_flow(dependence)
    dependence.flow.iteration(dependence.body, dependence.targets)


def new_flow(dependence: Dependence) -> Flow:
    """A walk through statements of the body, which hasn't begun."""
    units = {id(unit.node): unit for unit in dependence.every_unit()}

    def hidden_reads(node: ast.AST) -> list[str]:
        unit = units[id(node)]
        effects = unit.header
        if isinstance(node, ast.ClassDef):
            return list(effects.reads)
        return list(effects.unspelt(unit.spelt))

    def hidden_binds(node: ast.AST) -> list[str]:
        return [FIGURE] if FIGURE in units[id(node)].header.binds else []

    return Flow(hidden_reads, hidden_binds, dependence.managers.may_suppress)


def seed_carried(dependence: Dependence) -> None:
    """Names whose value is carried from one iteration to the next."""
    for name, line in dependence.flow.exposed.items():
        apart = dependence.allowances.local | dependence.allowances.private
        if name in dependence.whole.binds and name not in apart | dependence.prepared.names:
            dependence.kernel[name] = _carried(dependence, name, line)


def seed_staying(dependence: Dependence) -> None:
    """Names of the target whose values can't travel to a worker."""
    for name, kind in dependence.knowledge.staying.items():
        dependence.kernel.setdefault(name, f"`{name}`, an item ({kind}), can't go to a worker")


def seed_deleted(dependence: Dependence) -> None:
    """Names that an iteration may unbind, or bind, without the other.

    Of those that each iteration binds once and then deletes, nothing is left afterwards; of others
    it depends on the iterations whether one is.
    """
    top = dependence.units
    for unit in dependence.every_unit():
        for name in unit.deletes:
            binding = [u for u in dependence.every_unit() if name in u.header.binds]
            plain = [u for u in binding if not u.deletes]
            if len(binding) == 2 and len(plain) == 1 and unit in top and plain[0] in top:
                continue
            line = unit.node.lineno
            dependence.kernel.setdefault(name, f"line {line} unbinds `{name}` in some iterations")


def _carried(dependence: Dependence, name: str, line: int) -> str:
    bound_at = dependence.whole.binds[name]
    binding = [u for u in dependence.every_unit() if name in u.header.binds]
    if not any(name in bound_names(u.node) for u in binding):
        return f"line {line} calls a function that binds `{name}`, which iterations share"
    if bound_at == line:
        return f"line {line} carries `{name}` from one iteration to the next"
    return f"line {line} reads `{name}` as line {bound_at} of the iteration before left it"


def seed_mutated(dependence: Dependence) -> None:
    """Names whose object the body changes, unless the iteration has made it."""
    for unit in dependence.every_unit():
        if unit.stage is Stage.PREPARE:
            continue  # nothing but new values, and generators of which that is known
        for name, mutation in unit.header.mutates.items():
            if name not in dependence.slices and not _changes_its_own(dependence, name, unit):
                _seed_shared(dependence, name, mutation)
    for name in (*dependence.iterable.binds, *dependence.iterable.mutates):
        if name in dependence.whole.touched():
            line = dependence.whole.reads.get(name, dependence.target.lineno)
            reason = f"the loop's iterable changes `{name}` while it is read ahead"
            raise dependence.unsplittable(Refusal(line, name, reason))
    if FIGURE in dependence.whole.binds and not closes_its_own(
        dependence.body, dependence.scanner.touches
    ):
        dependence.kernel[FIGURE] = "figures that aren't closed are shown by the kernel"


def _seed_shared(dependence: Dependence, name: str, mutation: Mutation) -> None:
    apart = dependence.allowances.local | dependence.allowances.private
    shared = {n for n in dependence.alias_roots(name) if dependence.is_outside(n)} - apart
    names = [n for n in (*sorted(shared), name) if n not in dependence.kernel] if shared else []
    if names:
        why = f"line {mutation.line}, `{mutation.text}`, changes `{name}`"
        dependence.kernel |= dict.fromkeys(names, why)


def _changes_its_own(dependence: Dependence, name: str, unit: Unit) -> bool:
    """Whether a unit changes nothing of `name` but an object that the iteration has made."""
    if not unit.header.mutates[name].shallow or name in dependence.kernel:
        return False
    augments = isinstance(unit.node, ast.AugAssign) and isinstance(unit.node.target, ast.Name)
    augments = augments or unit.header.mutates[name].augments
    if augments and dependence.knowledge.items_immutable:
        if (
            not {n for n in dependence.alias_roots(name) if dependence.is_outside(n)}
            - dependence.targets
        ):
            return True  # a new object of an immutable type
    bound = name in dependence.whole.binds
    return bound and makes_its_own(
        name, unit, dependence.units, name in dependence.targets, dependence.knowledge
    )


def seed_element(dependence: Dependence) -> None:
    """Nothing but its element may touch the kernel in a comprehension."""
    for name, why in dependence.kernel.items():
        if name in dependence.prepared.generators:
            continue
        mutation = dependence.whole.mutates.get(name)
        line = mutation.line if mutation is not None else dependence.target.lineno
        raise dependence.unsplittable(Refusal(line, name, why))
    for unit in dependence.every_unit():
        if unit.node is dependence.element:
            dependence.commit(unit, "the kernel collects the elements")
