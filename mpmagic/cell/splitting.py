"""One loop, split: its stages found, and its halves made of them.

It may take several tries: with what runs ahead and without, with counters that the work adds to
itself and without, and with ``--ahead`` guard by guard.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from mpmagic.cell.ahead import unguarded
from mpmagic.cell.counters import Uncountable, advice_for
from mpmagic.cell.dependence import Allowances, Dependence, Unsplittable
from mpmagic.cell.draws import DrawsApart, draws_apart
from mpmagic.cell.effects import Effects
from mpmagic.cell.fission import Fission
from mpmagic.cell.functions import Summaries
from mpmagic.cell.iterable import check_read_ahead
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.preparing import NotAhead
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.stages import staged, staged_with_locks
from mpmagic.cell.syntax import walk

__all__ = ["split_loop"]

_Split = tuple[Dependence, SplitLoop, ast.stmt | None]


def split_loop(
    loop: ast.For,
    knowledge: Knowledge,
    allowances: Allowances,
    filename: str,
    *,
    element: ast.stmt | None = None,
) -> _Split:
    """Split one loop; for a comprehension, with the kernel's form of its element.

    Raises
    ------
    Unsplittable
        If that can't be done under the promise.
    """
    drawn = _iterable_effects(loop.iter, knowledge)
    # What is counted can't be taken back, as what was run ahead may have to be.
    knowledge.counting = not allowances.ahead
    try:
        return _split(loop, knowledge, allowances, filename, element, drawn)
    except Uncountable:
        pass
    except Unsplittable as reason:
        raise _advised(reason, knowledge) from None
    finally:
        knowledge.counting = False
    try:
        return _split(loop, knowledge, allowances, filename, element, drawn)
    except Unsplittable as reason:
        raise _advised(reason, knowledge) from None


def _advised(reason: Unsplittable, knowledge: Knowledge) -> Unsplittable:
    """The same, with what to do where it is about what processes share."""
    advice = reason.advice or advice_for(knowledge.value(reason.refusal.name))
    return Unsplittable(reason.refusal, advice, reason.units)


def _split(
    loop: ast.For,
    knowledge: Knowledge,
    allowances: Allowances,
    filename: str,
    element: ast.stmt | None,
    drawn: Effects,
) -> _Split:
    preparing = knowledge.preparing
    try:
        return _split_as_known(loop, knowledge, allowances, filename, element, drawn)
    except NotAhead:
        knowledge.preparing = False
        return _split_as_known(loop, knowledge, allowances, filename, element, drawn)
    finally:
        knowledge.preparing = preparing


def _split_as_known(
    loop: ast.For,
    knowledge: Knowledge,
    allowances: Allowances,
    filename: str,
    element: ast.stmt | None,
    drawn: Effects,
) -> _Split:
    """Split a loop.

    Raises
    ------
    Unsplittable
        If that can't be done.
    NotAhead
        If it can't where something runs ahead.
    """
    apart = DrawsApart(loop.body, {})
    if knowledge.preparing and element is None and not allowances.seeded:
        apart = draws_apart(loop, knowledge)
    body, draws = apart.body, apart.draws
    dependence = Dependence(loop.target, body, knowledge, allowances, element, drawn, draws)
    try:
        dependence = (
            staged_with_locks(dependence) if dependence.whole.enters else staged(dependence)
        )
        while allowances.ahead and (opened := unguarded(dependence)) is not None:
            dependence = replace(dependence, body=opened)
            staged(dependence)
        refusal = check_read_ahead(loop.iter, dependence)
        if refusal is not None:
            raise Unsplittable(refusal, "", dependence.units)
        fission = Fission(dependence, filename)
        if element is None:
            return dependence, fission.split(loop), None
        split, kernel_element = fission.split_comprehension(loop)
        return dependence, split, kernel_element
    except Unsplittable:
        if draws or dependence.prepared.body:  # then its reasons are others
            raise NotAhead from None
        raise


def _iterable_effects(node: ast.expr, knowledge: Knowledge) -> Effects:
    """What a lazy iterable may do to names while it is iterated."""
    summaries = Summaries(knowledge)
    effects = Scanner(knowledge, summaries).scan([node])
    for name in {n.id for n in walk(node) if isinstance(n, ast.Name)}:
        # Handed to `map` and its like it's called for each item.
        if (summary := summaries.of_name(name)) is not None:
            effects.absorb(summary.effects)
            effects.late |= summary.effects.reads.keys()
    return effects
