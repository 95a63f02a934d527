"""The lines in a worker's log that stand for commits, and the kernel's forms of these.

A line holds the operands that the commit needs. A mirrored store is made in the worker too, and
what was there is kept, to be put back. What a commit evaluates before the worker's operands is an
event of its own, sent before them, so that it raises first; under ``try`` the worker tries it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

from mpmagic.cell.ahead import skips
from mpmagic.cell.aliasing import mutates_deeply
from mpmagic.cell.attempt import raising
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.guard import (
    bound_to_keys,
    hash_checked,
    looked_up,
    number_checked,
    operands_of,
    slot_keys,
)
from mpmagic.cell.handover import Handover, Hold
from mpmagic.cell.hoist import Hoister
from mpmagic.cell.operands import When
from mpmagic.cell.probe import Probe, is_repeatable, may_fail
from mpmagic.cell.replay import operand
from mpmagic.cell.site import Site, site_of
from mpmagic.cell.slices import store_targets
from mpmagic.cell.speculation import Speculation
from mpmagic.cell.syntax import copied, unannotated, walk
from mpmagic.cell.unit import Stage, Unit
from mpmagic.cell.vocabulary import FAILURE, REPLAY
from mpmagic.cell.workcode import (
    KEEP,
    KEY,
    LOG,
    NUMBER,
    SLOT,
    bound_now,
    call,
    caught,
    held,
    kept,
    local,
    with_operands,
)  # fmt: skip
from mpmagic.cell.worth import is_heavy

__all__ = ["Sites"]


class Sites:
    """The sites of a loop's commits, as they are met in the order of the source.

    Parameters
    ----------
    dependence
        The stages.

    Attributes
    ----------
    sites
        The kernel's forms of the commits, and of what is probed before them.
    described
        What is known of each of these sites.
    operands
        What the worker sends.
    operand_reads
        Names that it reads for these.
    probes
        Sites of what a commit evaluates before the worker's operands.
    prepared
        Sites of what has run ahead.
    speculates
        Whether a commit may end an iteration whose work has run on.
    substantial
        Whether there is anything to compute.
    """

    def __init__(self, dependence: Dependence) -> None:
        self._dependence = dependence
        self._fresh_only = mutates_deeply(dependence)
        self._looked_up = looked_up(dependence.units, dependence.knowledge)
        self._handover = Handover(dependence)
        self.sites: list[ast.stmt] = []
        self.described: list[Site] = []
        self.operands: list[ast.expr] = []
        self.operand_reads: set[str] = set()
        self.probes: set[int] = set()
        self.prepared: set[int] = set()
        self.speculates = skips(dependence)
        self.substantial = False

    def _site(self, unit: Unit) -> list[ast.stmt]:
        """The line in the log that stands for a commit; a mirrored one is made here too."""
        number = len(self.sites)
        ahead = self._speculation(unit, number)
        hoister = self._hoister(unit, operand, ahead)
        checked = [copied(key) for key in self._dependence.checked_keys.get(unit, ())]
        site = unannotated(copied(unit.node))
        node = hoister.statement(site, unit)
        self.sites.append(node)
        self.operands += hoister.shown
        unit.sent = [o for o in hoister.shown if is_heavy(o)]
        tried = unit in self._dependence.protected
        fails = not tried and (self._is_unchecked(unit) or any(map(may_fail, operands_of(node))))
        described = site_of(unit, hoister.shown, self._dependence, fails=fails)
        described = replace(described, pieces=hoister.pieces)
        self.described.append(described)
        sent = self._dependence.scanner.scan([*hoister.shown, *(ahead.nodes if ahead else ())])
        self.substantial |= sent.substantial
        self.operand_reads |= sent.reads.keys() - self._dependence.kernel.keys()
        holds = self._handover.holds(unit, node, hoister.operands)
        operands = list(self._sent(unit, hoister.operands, checked, holds))
        if unit.mirrored:
            before = self._probe(unit, number, operands, hoister.probes)
            before += self._mirror(unit, number, operands)
            operands = [local(number, k) for k in range(len(operands))]
        elif tried:
            before = self._tried(unit, number, operands)
        else:
            before = self._probe(unit, number, operands, hoister.probes)
        if described.state:
            operands.append(bound_now(described.unsure, described.changed))
        texts = [ast.dump(o) for o in hoister.operands] if checked else []
        rest = [key for key in checked if ast.dump(key) not in texts]
        if not all(map(is_repeatable, rest)):  # what they are made of is computed once
            made = _computed(number, operands, len(texts))
            before += [ast.copy_location(s, unit.node) for s in made]
            rest = [with_operands(key, texts, number) for key in rest]
        event: ast.expr = ast.Tuple(elts=[ast.Constant(number), *operands], ctx=ast.Load())
        if rest:  # keys that the kernel has itself are only tried here
            event = ast.Subscript(
                value=ast.Tuple(elts=[*map(self._checked, rest), event], ctx=ast.Load()),
                slice=ast.Constant(len(rest)),
                ctx=ast.Load(),
            )
        made = ahead.made if ahead else []
        return [*made, *before, ast.copy_location(call(LOG, event), unit.node)]

    def _attempt(self, unit: Unit, begun: list[ast.stmt]) -> list[ast.stmt]:
        """The beginning of a ``try``, and the line in the log that stands for the rest of it."""
        number, tried = len(self.sites), unit.first_work()
        site = unannotated(copied(unit.node))
        assert isinstance(site, ast.Try)
        first = unit.blocks[0][len(tried) : len(tried) + 1]
        hoister = self._attempted(unit, site, guarded=any(u.guarded for u in first))
        if hoister.probes:  # it would have to come before the work
            site = unannotated(copied(unit.node))
            assert isinstance(site, ast.Try)
            hoister = self._attempted(unit, site, guarded=True)
        start = (*tried, *first)[0].node
        site.body.insert(0, ast.copy_location(raising(operand(0)), start))
        self.sites.append(site)
        values = hoister.operands[1:]
        self.operands += values
        for commit in first:
            commit.sent = [o for o in values if is_heavy(o)]
        described = site_of(unit, hoister.operands, self._dependence, fails=True)
        self.described.append(described)
        sent = self._dependence.scanner.scan(values)
        self.substantial |= sent.substantial
        self.operand_reads |= sent.reads.keys()
        names = [local(number, k) for k in range(len(hoister.operands))]
        event = [ast.Constant(number), *names]
        if described.state:
            event.append(bound_now(described.unsure, described.changed))
        holds = self._handover.holds(unit, site, hoister.operands)[1:]
        computed = list(zip(values, self._sent(unit, values, [], holds), strict=True))
        made = caught(number, begun, computed, {n for u in tried for n in u.whole().binds})
        log = call(LOG, ast.Tuple(elts=event, ctx=ast.Load()))
        return [ast.copy_location(s, unit.node) for s in (*made, log)]

    def _attempted(self, unit: Unit, site: ast.Try, *, guarded: bool) -> Hoister:
        """Make of a copy of a ``try`` the kernel's form of it, without the first statements."""
        tried = len(unit.first_work())
        hoister = self._hoister(unit, operand)
        hoister.operands.append(ast.copy_location(ast.Name(id=FAILURE, ctx=ast.Load()), site))
        first, rest = site.body[tried : tried + 1], site.body[tried + 1 :]
        when = When.NEVER if guarded else When.SURE
        units = unit.blocks[0]
        first = [
            hoister.statement(commit, cut, when)
            for commit, cut in zip(first, units[tried : tried + 1], strict=True)
        ]
        site.body = rest
        hoister.statement(site, replace(unit, blocks=[units[tried + 1 :], *unit.blocks[1:]]))
        site.body = first + rest
        return hoister

    def _speculation(self, unit: Unit, number: int) -> Speculation | None:
        """What takes the pieces of a commit that are run ahead, where any may be."""
        dependence = self._dependence
        if not dependence.allowances.ahead or dependence.element is not None:
            return None
        if unit.mirrored or unit in dependence.protected:
            return None  # the worker does it too
        return Speculation(dependence, unit, number, fresh_only=self._fresh_only)

    def _spared(self) -> list[Site]:
        """The sites, with what of their pieces' names no commit reads."""
        if not any(site.pieces for site in self.described):
            return self.described
        commits = [u for u in self._dependence.every_unit() if u.stage is Stage.COMMIT]
        read = {n for u in commits for n in u.header.unspelt(u.spelt)}
        read |= {n.id for s in self.sites for n in walk(s) if isinstance(n, ast.Name)}
        return [
            replace(
                site,
                pieces={
                    at: piece._replace(spare=frozenset(piece.names) - read)
                    for at, piece in site.pieces.items()
                },
            )
            for site in self.described
        ]

    def _hoister(
        self, unit: Unit, operand: Callable[[int], ast.expr], ahead: Speculation | None = None
    ) -> Hoister:
        fresh_only, mirrored = self._fresh_only, unit.mirrored
        return Hoister(
            self._dependence, operand, fresh_only=fresh_only, mirrored=mirrored, ahead=ahead
        )

    def _sent(
        self,
        unit: Unit,
        operands: list[ast.expr],
        checked: list[ast.expr],
        holds: list[Hold | None],
    ) -> list[ast.expr]:
        """The operands as the worker evaluates them, keys with a look at what they are."""
        summand = self._number_of(unit)
        if summand is not None and [ast.dump(o) for o in operands] == [ast.dump(summand)]:
            return [self._checked(o, by=NUMBER) for o in operands]
        slotted = [
            *slot_keys(unit.nodes, self._dependence.knowledge),
            *bound_to_keys(unit.nodes, self._looked_up),
        ]
        if not operands or not (checked or slotted or any(holds)):
            return operands
        keys = [ast.dump(key) for key in checked]
        slots = [ast.dump(key) for key in slotted]
        return [
            self._checked(o)
            if (text := ast.dump(o) if keys or slots else "") in keys
            else self._checked(o, by=SLOT)
            if text in slots
            else o
            if hold is None
            else held(o, unit.node.lineno, copy=hold is Hold.COPY)
            for o, hold in zip(operands, holds, strict=True)
        ]

    def _probe(
        self, unit: Unit, number: int, operands: list[ast.expr], probes: list[Probe]
    ) -> list[ast.stmt]:
        """Events for what the kernel evaluates before operands that may raise or print.

        In ``totals[key] += f(x)`` a missing key raises before `f` is called. The operands that
        belong to that part are computed once, and `operands` changed so that it takes them over.
        """
        made: list[ast.stmt] = []
        for probe in probes:
            made += _computed(number, operands, probe.count)
            made.append(self._probe_event(unit, number, probe))
        return [ast.copy_location(s, unit.node) for s in made]

    def _probe_event(self, unit: Unit, number: int, probe: Probe) -> ast.stmt:
        first = ast.Tuple(elts=probe.parts, ctx=ast.Load())
        site, count = self.described[number], probe.count
        state = count + 1 if site.unsure else 0
        described = replace(site, operands=site.operands[:count], state=state)
        self.probes.add(len(self.sites))
        event = [ast.Constant(len(self.sites)), *(local(number, k) for k in range(count))]
        if state:
            event.append(bound_now(site.unsure, site.changed))
        self.sites.append(ast.copy_location(ast.Expr(value=first), unit.node))
        self.described.append(described)
        return call(LOG, ast.Tuple(elts=event, ctx=ast.Load()))

    def _tried(self, unit: Unit, number: int, operands: list[ast.expr]) -> list[ast.stmt]:
        """Let the worker try what the kernel will evaluate, where the handlers are.

        In ``out.append((names[k], f(x)))`` the kernel looks the name up, for the sake of the
        object's identity. Under ``try`` a missing one has to raise in the worker.
        """
        trial = copied(unit.node)
        hoister = self._hoister(unit, lambda k: local(number, k))
        hoister.statement(trial, unit)
        summand = self._number_of(unit)
        read, parts = [], []
        for whole, left in zip(operands_of(unit.node), operands_of(trial), strict=True):
            if whole is summand and not _is_local(left):
                left = self._checked(left, by=NUMBER)
            if may_fail(left) and not _is_replay(left):
                read.append(whole)
                parts.append(left)
        if not parts:
            return []
        self.operand_reads |= self._dependence.scanner.scan(read).reads.keys()
        made: list[ast.stmt] = []
        for probe in (*hoister.probes, Probe(parts, len(operands))):
            made += _computed(number, operands, probe.count)
            made.append(ast.Expr(value=ast.Tuple(elts=probe.parts, ctx=ast.Load())))
        return [ast.copy_location(s, unit.node) for s in made]

    def _mirror(self, unit: Unit, number: int, operands: list[ast.expr]) -> list[ast.stmt]:
        """The store as the worker makes it: what was there is kept, to be put back."""
        store = copied(unit.node)
        hoister = self._hoister(unit, lambda k: local(number, k))
        hoister.statement(store, unit)
        made: list[ast.stmt] = [
            ast.Assign(targets=[local(number, k, ast.Store())], value=value)
            for k, value in enumerate(operands)
            if not _is_local(value)
        ]
        for place in store_targets(store):
            augmented = ast.Constant(isinstance(store, ast.AugAssign))
            made.append(call(KEEP, *kept(place), augmented))
        return [*(ast.copy_location(s, unit.node) for s in made), store]

    def _is_unchecked(self, unit: Unit) -> bool:
        """Whether a commit may raise for a value that nobody looks at before, not under ``try``."""
        summand = number_checked(unit.node, self._dependence.knowledge)
        number = summand is not None and not isinstance(summand, ast.Constant)
        return number or bool(hash_checked(unit.node, self._dependence.knowledge))

    def _number_of(self, unit: Unit) -> ast.expr | None:
        """What a commit under ``try`` adds to a number, and must be one."""
        if unit not in self._dependence.checked_keys:
            return None
        return number_checked(unit.node, self._dependence.knowledge)

    def _checked(self, key: ast.expr, *, by: str = KEY) -> ast.expr:
        return ast.Call(func=ast.Name(id=by, ctx=ast.Load()), args=[key], keywords=[])


def _is_local(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.startswith(".")


def _computed(number: int, operands: list[ast.expr], count: int) -> list[ast.stmt]:
    """In the worker: the first operands, those that aren't yet, assigned to their variables."""
    made: list[ast.stmt] = []
    for k in range(count):
        if not _is_local(operands[k]):
            made.append(ast.Assign(targets=[local(number, k, ast.Store())], value=operands[k]))
            operands[k] = local(number, k)
    return made


def _is_replay(node: ast.expr) -> bool:
    """Whether this is a generator that the worker has exhausted."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == REPLAY
