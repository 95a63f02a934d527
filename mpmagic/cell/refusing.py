"""Loops that can't be split at all, whatever their stages are.

Some places are wrong in any worker, random numbers come from a stream that iterations share, and an
iteration must not run that a ``break`` could have prevented.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from mpmagic.cell.compound import commits_in
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import Refusal
from mpmagic.cell.guard import infallible
from mpmagic.cell.jumps import breaks_of, jumps
from mpmagic.cell.processwide import made_by
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Stage, Unit

__all__ = [
    "refuse_at_once",
    "refuse_breaks",
    "refuse_draws",
    "refuse_partly_taken_back",
    "refuse_private_in_commits",
]


def refuse_at_once(dependence: Dependence) -> None:
    """Refuse what no stages could make right."""
    apart = [id(refusal) for _, refusal in _taken_back(dependence)]
    for refusal in dependence.whole.refusals:
        if id(refusal) not in apart:
            raise dependence.unsplittable(refusal)
    for node in walk(dependence.target):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            reason = "the loop's target isn't a plain name"
            raise dependence.unsplittable(Refusal(node.lineno, ast.unparse(node), reason))
    if dependence.whole.kernel_only and dependence.element is not None:
        for line, reason in dependence.whole.kernel_only.items():
            raise dependence.unsplittable(Refusal(line, "", reason))


def refuse_draws(dependence: Dependence) -> None:
    """Refuse draws from a stream that iterations share, those apart that run ahead."""
    work = (u for u in dependence.every_unit() if u.stage is not Stage.PREPARE)
    draw = next((draw for unit in work for draw in unit.header.draws), None)
    if draw is not None and not dependence.allowances.seeded:
        reason = "it draws from a stream of random numbers that iterations share"
        advice = (
            "let every iteration draw before anything else is called, best in a statement of its "
            "own (`value = rng.normal()`); or give each iteration a generator of its own, such as "
            "`np.random.default_rng([seed, i])`, or use `--seed N`"
        )
        raise dependence.unsplittable(Refusal(draw.line, draw.text, reason), advice)


def _taken_back(dependence: Dependence) -> Iterator[tuple[Unit, Refusal]]:
    """Changes of the process's state that end with a ``with`` of the body around them."""
    for unit in dependence.every_unit():
        if isinstance(unit.node, ast.With):
            names = made_by([i.context_expr for i in unit.node.items], dependence.knowledge)
            inside = (u for block in unit.blocks for inner in block for u in inner.walk())
            for refusal in (r for u in inside for r in u.header.refusals):
                if refusal.taken_back_by & names:
                    yield unit, refusal


def refuse_partly_taken_back(dependence: Dependence) -> None:
    """Without the state of the worker's ``with``, a commit inside could do something else."""
    for unit, refusal in _taken_back(dependence):
        if unit.stage is Stage.WORK:
            for inner in commits_in(unit.blocks):
                if not infallible(inner.node, dependence.knowledge):
                    raise dependence.unsplittable(refusal)


def refuse_breaks(dependence: Dependence) -> None:
    """Without ``--ahead`` no iteration may run that a break could have prevented."""
    if dependence.allowances.ahead:
        for line in _taken_back_breaks(dependence, dependence.units, caught=False):
            reason = "a `finally` around it may keep the loop from ending there"
            raise dependence.unsplittable(Refusal(line, "break", reason))
        return
    for line in breaks_of(dependence.body):
        reason = "it may end the loop while later iterations are running already"
        advice = "`--ahead` lets work run that the serial cell might have skipped"
        raise dependence.unsplittable(Refusal(line, "break", reason), advice)


def _taken_back_breaks(
    dependence: Dependence, units: Iterable[Unit], *, caught: bool
) -> Iterator[int]:
    """Breaks that a ``continue`` on the way out replaces, or what is raised there and `caught`."""
    for unit in units:
        node, inside = unit.node, [caught] * len(unit.blocks)
        if unit.stage is Stage.COMMIT:
            continue
        if isinstance(node, ast.For | ast.While):
            yield from _taken_back_breaks(dependence, unit.blocks[1], caught=caught)
            continue
        if isinstance(node, ast.Try | ast.TryStar):
            inside[0] = caught or bool(node.handlers)
            *earlier, last = unit.blocks
            if last and (caught or any(jumps(u.node, ast.Continue) for u in last)):
                yield from breaks_of([u.node for block in earlier for u in block])
        elif isinstance(node, ast.With):
            managers = (item.context_expr for item in node.items)
            inside[0] = caught or any(map(dependence.managers.may_suppress, managers))
        for block, around in zip(unit.blocks, inside, strict=True):
            yield from _taken_back_breaks(dependence, block, caught=around)


def refuse_private_in_commits(dependence: Dependence) -> None:
    """An iteration's own copy is in the worker: what the kernel does to it would be lost."""
    for outer in commits_in([dependence.units]):
        for unit in outer.walk():
            for name in unit.header.mutates.keys() & dependence.fresh:
                mutation = unit.header.mutates[name]
                here = dependence.touches_kernel(dependence.scanner.scan([mutation.node]))
                if outer.blocks or here:
                    reason = f"a commit changes it, whose copies are private: {unit.why}"
                    raise dependence.unsplittable(Refusal(mutation.line, name, reason))
