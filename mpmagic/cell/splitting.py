"""One loop, split: its stages found, and its halves made of them.

It may take several tries: with what runs ahead and without, with counters that the work adds to
itself and without, and with ``--ahead`` guard by guard.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import NamedTuple

from mpmagic.cell.ahead import unguarded
from mpmagic.cell.collected import Collected
from mpmagic.cell.counters import Uncountable, advice_for
from mpmagic.cell.dependence import Allowances, Dependence, Unsplittable
from mpmagic.cell.draws import DrawsApart, draws_apart
from mpmagic.cell.effects import Effects
from mpmagic.cell.fission import Fission
from mpmagic.cell.functions import Summaries
from mpmagic.cell.iterable import check_read_ahead
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.preparing import NotAhead
from mpmagic.cell.rebound import bound_in
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.stages import staged, staged_with_locks
from mpmagic.cell.syntax import walk

__all__ = ["split_loop"]

_Split = tuple[Dependence, SplitLoop, Collected | None]


def split_loop(
    loop: ast.For,
    knowledge: Knowledge,
    allowances: Allowances,
    filename: str,
    *,
    element: ast.stmt | None = None,
) -> _Split:
    """Split one loop; for a comprehension, with what the kernel makes of its events.

    Raises
    ------
    Unsplittable
        If that can't be done under the promise.
    """
    drawn = _iterable_effects(loop.iter, knowledge)
    tries = _Tries(loop, knowledge, allowances, filename, element, drawn)
    try:
        with knowledge.inside(bound_in(loop, knowledge)):
            return tries.with_counters_or_without()
    except Unsplittable as reason:
        advice = reason.advice or advice_for(knowledge.value(reason.refusal.name))
        raise Unsplittable(reason.refusal, advice, reason.units) from None


class _Tries(NamedTuple):
    """The ways in which one loop may be split, the best first; each raises what `split_loop` does.

    Attributes
    ----------
    loop, knowledge, allowances, filename, element
        As of `split_loop`.
    drawn
        The effects of its iterable.
    """

    loop: ast.For
    knowledge: Knowledge
    allowances: Allowances
    filename: str
    element: ast.stmt | None
    drawn: Effects

    def with_counters_or_without(self) -> _Split:
        """Let the work add to shared integers, if that is right."""
        # What is counted can't be taken back, as what was run ahead may have to be.
        self.knowledge.counting = not self.allowances.ahead
        try:
            return self._prepared_or_not()
        except Uncountable:
            self.knowledge.counting = False
            return self._prepared_or_not()
        finally:
            self.knowledge.counting = False

    def _prepared_or_not(self) -> _Split:
        preparing = self.knowledge.preparing
        try:
            return self._as_known()
        except NotAhead:
            self.knowledge.preparing = False
            return self._as_known()
        finally:
            self.knowledge.preparing = preparing

    def _as_known(self) -> _Split:
        """Split it.

        Raises
        ------
        NotAhead
            If it can't be split where something runs ahead.
        """
        loop, knowledge, element = self.loop, self.knowledge, self.element
        apart = DrawsApart(loop.body, {}, element)
        if knowledge.preparing and not self.allowances.seeded:
            apart = draws_apart(loop, knowledge, element)
        allowances, element = self.allowances, apart.element
        dependence = Dependence(
            loop.target, apart.body, knowledge, allowances, element, self.drawn, apart.draws
        )
        try:
            dependence = self._staged(dependence)
            fission = Fission(dependence, self.filename)
            if element is None:
                return dependence, fission.split(loop), None
            return dependence, *fission.split_comprehension(loop)
        except Unsplittable:
            if apart.draws or dependence.prepared.body:  # then its reasons are others
                raise NotAhead from None
            raise

    def _staged(self, dependence: Dependence) -> Dependence:
        staged_with = staged_with_locks if dependence.whole.enters else staged
        dependence = staged_with(dependence)
        while self.allowances.ahead and (opened := unguarded(dependence)) is not None:
            dependence = replace(dependence, body=opened)
            staged(dependence)
        refusal = check_read_ahead(self.loop.iter, dependence)
        if refusal is not None:
            raise Unsplittable(refusal, "", dependence.units)
        return dependence


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
