"""Loop fission itself: one loop becomes a function for the worker and one for the kernel.

Both are compiled under the cell's own file name and line numbers, with names that no user can spell
(``.log``) for what isn't the user's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mpmagic.cell.collected import Collected
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.half import Half
from mpmagic.cell.prepared import looking_at
from mpmagic.cell.replay import COMMIT, replay
from mpmagic.cell.sending import Sending
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.syntax import loaded, walk
from mpmagic.cell.unit import Stage
from mpmagic.cell.workcode import ITEMS, WORK
from mpmagic.cell.worth import calls_in_kernel, calls_in_work, idle

__all__ = ["Fission"]


class Fission:
    """Splits a loop whose stages are known.

    Parameters
    ----------
    dependence
        The stages.
    filename
        The name under which the cell is compiled.

    Raises
    ------
    Unsplittable
        If nothing worth sending is left as work.
    """

    def __init__(self, dependence: Dependence, filename: str) -> None:
        self.dependence = dependence
        self._filename = filename
        self._sending = Sending(dependence)

    def split(self, loop: ast.For) -> SplitLoop:
        """Both halves of a loop statement."""
        dependence = self.dependence
        body = self._sending.loop(loop)
        self._refuse_if_idle(loop)
        prepared = dependence.prepared.names
        outer = dependence.private | dependence.targets | prepared
        work = self._half(WORK, body, outer, loop)
        bound = (dependence.whole.binds.keys() & dependence.kernel.keys()) | dependence.targets
        bound |= prepared - dependence.prepared.drawn
        commit = self._half(COMMIT, replay(loop, self._sending.sites), bound, loop)
        return self._described(loop, work, commit)

    def split_comprehension(self, loop: ast.For) -> tuple[SplitLoop, Collected]:
        """The worker's half of a comprehension, and what the kernel makes of its events.

        `loop` is the comprehension written as a loop whose only commit is its element.
        """
        body = self._sending.loop(loop)
        self._refuse_if_idle(loop)
        # Its names are its own: locals, which the functions that it calls don't see. What a
        # walrus binds is the cell's.
        work = self._half(WORK, body, self._surviving(), loop)
        sending = self._sending
        (element,) = set(range(len(sending.sites))) - sending.probes - sending.prepared
        return self._described(loop, work, None), Collected(sending.sites, element)

    def _surviving(self) -> set[str]:
        """Private names of which the notebook keeps the last values."""
        dependence = self.dependence
        if dependence.element is None:
            return dependence.private
        walrus = (n for s in dependence.body for n in walk(s) if isinstance(n, ast.NamedExpr))
        return {n.target.id for n in walrus} & dependence.private

    def _described(self, loop: ast.For, work: Half, commit: Half | None) -> SplitLoop:
        dependence = self.dependence
        end = dependence.flow.at_end
        private = self._surviving()
        return SplitLoop(
            line=loop.lineno,
            work=work,
            commit=commit,
            captured=frozenset(self._captured()),
            private=frozenset(private),
            certain=frozenset((private & end if end is not None else set()) | dependence.fresh),
            targets=frozenset(dependence.targets),
            shared=frozenset(filter(str.isidentifier, dependence.kernel)),
            kernel_reads=frozenset(self._kernel_reads()),
            operands=tuple(self._sending.operands),
            sites=tuple(self._sending.described),
            speculates=self._sending.speculates,
            slices=tuple(dependence.slices.values()),
            fresh=frozenset(dependence.fresh),
            probes=frozenset(self._sending.probes),
            prepared=dependence.prepared,
            ahead=self._ahead(loop),
            silent=frozenset(self._sending.prepared),
        )

    def _captured(self) -> set[str]:
        """Names that the work reads and doesn't bind first."""
        dependence = self.dependence
        reads = set(self._sending.operand_reads)
        for keys in dependence.checked_keys.values():
            reads |= dependence.scanner.scan(keys).reads.keys()
        for unit in dependence.every_unit():
            if unit.stage is not Stage.COMMIT or unit.mirrored:
                reads |= unit.header.reads.keys()
        reads -= dependence.prepared.generators  # nothing else touches these
        own = (dependence.private | dependence.prepared.names) - dependence.allowances.local
        captured = (reads - own | dependence.fresh) - dependence.targets
        return set(filter(str.isidentifier, captured))

    def _kernel_reads(self) -> set[str]:
        commits = [u for u in self.dependence.every_unit() if u.stage is Stage.COMMIT]
        return {n for u in commits for n in u.header.touched() if n.isidentifier()}

    def _half(
        self, parameters: tuple[str, ...], body: ast.stmt, bound: Iterable[str], loop: ast.For
    ) -> Half:
        names = sorted(filter(str.isidentifier, bound))
        at_loop = ast.copy_location(body, loop)
        return Half(parameters, tuple(names), at_loop, self._filename)

    def _ahead(self, loop: ast.For) -> Half | None:
        """What the kernel runs ahead, on names of its own."""
        prepared = self.dependence.prepared
        if not prepared.body:
            return None
        target = loop.target if prepared.items else ast.Name(id=".item", ctx=ast.Store())
        looks = [looking_at(name, prepared.body[0]) for name in sorted(prepared.items)]
        body = ast.For(target, loaded(ITEMS, loop), [*looks, *prepared.body], [])
        bound = prepared.names | (self.dependence.targets if prepared.items else set())
        return self._half((ITEMS,), body, bound, loop)

    def _refuse_if_idle(self, loop: ast.For) -> None:
        sending = self._sending
        commits = [s for i, s in enumerate(sending.sites) if i not in sending.prepared]
        if sending.substantial and (
            calls_in_work(self.dependence, sending.operands) or not calls_in_kernel(commits)
        ):
            return
        raise idle(loop, self.dependence)
