"""Loop fission itself: one loop becomes a function for the worker and one for the kernel.

The worker's function runs the body with each commit replaced by a line in the log. The kernel's
function replays the log: for each event the commit of that site, with the operands that the
worker computed. Both are compiled under the cell's own file name and line numbers, with names that
no user can spell (``.log``) for what isn't the user's.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from mpmagic.cell.advice import advice_for, guarded_call, kept_call
from mpmagic.cell.ahead import skips
from mpmagic.cell.dependence import Dependence, Unsplittable
from mpmagic.cell.effects import FIGURE, Refusal
from mpmagic.cell.flow import Reach
from mpmagic.cell.guard import number_checked, slot_keys
from mpmagic.cell.half import Half
from mpmagic.cell.hoist import DRAIN, EVENT, REPLAY, Hoister, Probe, mutates_deeply
from mpmagic.cell.site import Site, site_of
from mpmagic.cell.slices import Slice, store_targets
from mpmagic.cell.syntax import copied, set_blocks, unannotated, walk
from mpmagic.cell.unit import Stage, Unit, blocks_of

__all__ = ["BREAK", "START", "Fission", "SplitLoop"]

START: Final = -1
"""The event of an iteration's begin; its operand is the item."""

BREAK: Final = -2
"""The event of a ``break`` that the work decided."""

_LOG: Final = ".log"
_ITEMS: Final = ".items"
_EVENTS: Final = ".events"
_SITE: Final = ".site"
_KEY: Final = ".key"
_SLOT: Final = ".slot"
_BOUND: Final = ".bound"
_FAILED: Final = ".failed"
_KEEP: Final = ".keep"
_NUMBER: Final = ".number"
_HEAVY: Final = (ast.Call, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LIGHT: Final = frozenset(
    {"range", "len", "int", "float", "bool", "abs", "isinstance", "type", "enumerate", "zip"}
)
_WORK: Final = [_LOG, _ITEMS, DRAIN, _KEY, _SLOT, _BOUND, _FAILED, _KEEP, _NUMBER]
_COMMIT: Final = [_EVENTS, REPLAY]


@dataclass(frozen=True, slots=True)
class SplitLoop:
    """A loop in its two halves.

    Attributes
    ----------
    line
        The line of the loop in the cell.
    work
        The worker's function; its parameters are the log's append, the items, and what
        else a worker's half calls.
    commit
        The kernel's function ``(events, replay)``; None for a comprehension.
    captured
        Names that the work reads from the notebook.
    private
        Names that the work binds; for a loop statement their last values survive.
    certain
        Those of them that every iteration binds.
    targets
        Names of the loop's target.
    shared
        Names that the commits change or bind.
    kernel_reads
        Names that the commits touch.
    deleted
        Private names that the body unbinds.
    operands
        What the worker sends.
    sites
        The commits' sites.
    speculates
        Whether a commit may end an iteration whose work has run on, perhaps to an exception.
    slices
        State that each iteration reads and writes in a slot of its own.
    fresh
        Names that each iteration has a copy of its own of (``--private``).
    probes
        Sites of what a commit evaluates before the worker's operands, which matters only if
        these printed or raised something.
    """

    line: int
    work: Half
    commit: Half | None
    captured: frozenset[str]
    private: frozenset[str]
    certain: frozenset[str]
    targets: frozenset[str]
    shared: frozenset[str]
    kernel_reads: frozenset[str]
    deleted: frozenset[str]
    operands: tuple[ast.expr, ...]
    sites: tuple[Site, ...]
    speculates: bool
    slices: tuple[Slice, ...]
    fresh: frozenset[str]
    probes: frozenset[int]

    def sends_like(self, other: SplitLoop) -> bool:
        """Whether the workers of both send the same: then their kernel's halves are the same."""
        return [*map(ast.dump, self.operands)] == [*map(ast.dump, other.operands)]


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
        self._sites: list[ast.stmt] = []
        self._operands: list[ast.expr] = []
        self._described_sites: list[Site] = []
        self._probes: set[int] = set()
        self._speculates = skips(dependence)
        self._fresh_only = mutates_deeply(dependence)
        self._substantial = False
        self._operand_reads: set[str] = set()

    def split(self, loop: ast.For) -> SplitLoop:
        """Both halves of a loop statement."""
        dependence = self.dependence
        body = self._worker_block(dependence.units, inner=False)
        self._refuse_if_idle(loop)
        outer = dependence.private | dependence.targets
        work = self._half(_WORK, self._worker_loop(loop, body), outer, loop)
        bound = (dependence.whole.binds.keys() & dependence.kernel.keys()) | dependence.targets
        commit = self._half(_COMMIT, self._replay(loop), bound, loop)
        return self._described(loop, work, commit)

    def split_comprehension(self, loop: ast.For) -> tuple[SplitLoop, ast.stmt]:
        """The worker's half of a comprehension, and its element's form in the kernel.

        `loop` is the comprehension written as a loop whose only commit is its element.
        """
        body = self._worker_block(self.dependence.units, inner=False)
        self._refuse_if_idle(loop)
        # Its names are its own: locals, which the functions that it calls don't see. What a
        # walrus binds is the cell's.
        work = self._half(_WORK, self._worker_loop(loop, body), self._surviving(), loop)
        (element,) = self._sites
        return self._described(loop, work, None), element

    def _surviving(self) -> set[str]:
        """Private names of which the notebook keeps the last values."""
        dependence = self.dependence
        if dependence.element is None:
            return dependence.private
        walrus = (n for s in dependence.body for n in walk(s) if isinstance(n, ast.NamedExpr))
        return {n.target.id for n in walrus} & dependence.private

    def _worker_loop(self, loop: ast.For, body: list[ast.stmt]) -> ast.stmt:
        if self._speculates:
            failed = ast.Expr(value=ast.Call(func=_name(_FAILED, loop), args=[], keywords=[]))
            handler = ast.ExceptHandler(type=None, name=None, body=[failed])
            body = [ast.Try(body=body, handlers=[handler], orelse=[], finalbody=[])]
        return ast.For(target=loop.target, iter=_name(_ITEMS, loop), body=body, orelse=[])

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
            shared=frozenset(dependence.kernel.keys() - {FIGURE}),
            kernel_reads=frozenset(self._kernel_reads()),
            deleted=frozenset(_deleted(dependence, end) & private),
            operands=tuple(self._operands),
            sites=tuple(self._described_sites),
            speculates=self._speculates,
            slices=tuple(dependence.slices.values()),
            fresh=frozenset(dependence.fresh),
            probes=frozenset(self._probes),
        )

    def _captured(self) -> set[str]:
        """Names that the work reads and doesn't bind first."""
        dependence = self.dependence
        reads = set(self._operand_reads)
        for unit in dependence.every_unit():
            if unit.stage is Stage.WORK or unit.mirrored:
                reads |= unit.header.reads.keys()
        own = dependence.private - dependence.allowances.local
        return (reads - own | dependence.fresh) - dependence.targets - {FIGURE}

    def _kernel_reads(self) -> set[str]:
        commits = [u for u in self.dependence.every_unit() if u.stage is Stage.COMMIT]
        return {n for u in commits for n in u.header.touched()} - {FIGURE}

    # -- the worker's half ---------------------------------------------------------------------

    def _worker_block(self, units: list[Unit], *, inner: bool) -> list[ast.stmt]:
        """Units as the worker runs them; `inner` if inside a loop within the loop."""
        statements: list[ast.stmt] = []
        for unit in units:
            if unit.stage is Stage.COMMIT:
                statements += self._site(unit)
            elif unit.blocks:
                statements.append(self._compound(unit, inner=inner))
            else:
                self._substantial |= unit.header.substantial
                statements += self._simple(unit.node, inner=inner)
        return statements or [ast.Pass()]

    def _compound(self, unit: Unit, *, inner: bool) -> ast.stmt:
        self._substantial |= unit.header.substantial
        node = copy.copy(unit.node)
        is_loop = isinstance(node, ast.For | ast.While)
        blocks = [
            self._worker_block(block, inner=inner or (is_loop and i == 0)) if block else []
            for i, block in enumerate(unit.blocks)
        ]
        set_blocks(node, blocks)
        return node

    def _simple(self, node: ast.stmt, *, inner: bool) -> list[ast.stmt]:
        match node:
            case ast.Break() if not inner:
                event = ast.Tuple(elts=[ast.Constant(BREAK)], ctx=ast.Load())
                if self._speculates:  # the kernel may pass over it: the next iteration follows
                    leave = ast.copy_location(ast.Continue(), node)
                    return [ast.copy_location(_call(_LOG, event), node), leave]
                return [ast.copy_location(_call(_LOG, event), node), node]
            case ast.Global():
                return [ast.copy_location(ast.Pass(), node)]
            case ast.AnnAssign(target=ast.Name()):
                return [unannotated(node)]
            case _:
                return [node]

    def _site(self, unit: Unit) -> list[ast.stmt]:
        """The line in the log that stands for a commit; a mirrored one is made here too."""
        number = len(self._sites)
        hoister = Hoister(self.dependence, _operand, fresh_only=self._fresh_only)
        checked = [copied(key) for key in self.dependence.checked_keys.get(unit, ())]
        site = unannotated(copied(unit.node))
        self._sites.append(hoister.statement(site, guarded=unit.guarded))
        self._operands += hoister.operands
        unit.sent = [o for o in hoister.operands if _is_heavy(o)]
        described = site_of(unit, hoister.operands, self.dependence)
        self._described_sites.append(described)
        sent = self.dependence.scanner.scan(hoister.operands)
        self._substantial |= sent.substantial
        self._operand_reads |= sent.reads.keys()
        operands = self._sent(unit, hoister.operands, checked)
        if unit.mirrored:
            before = self._mirror(unit, number, operands)
            operands = [_local(number, k) for k in range(len(operands))]
        else:
            before = self._probe(unit, number, operands, hoister.probe)
        if described.state:
            operands.append(_bound_now(described.unsure))
        texts = [ast.dump(o) for o in hoister.operands] if checked else []
        rest = [self._checked(k) for k in checked if ast.dump(k) not in texts]
        event: ast.expr = ast.Tuple(elts=[ast.Constant(number), *operands], ctx=ast.Load())
        if rest:  # keys that the kernel has itself are only tried here
            event = ast.Subscript(
                value=ast.Tuple(elts=[*rest, event], ctx=ast.Load()),
                slice=ast.Constant(len(rest)),
                ctx=ast.Load(),
            )
        return [*before, ast.copy_location(_call(_LOG, event), unit.node)]

    def _sent(
        self, unit: Unit, operands: list[ast.expr], checked: list[ast.expr]
    ) -> list[ast.expr]:
        """The operands as the worker evaluates them, keys with a look at what they are."""
        if unit in self.dependence.checked_keys:
            number = number_checked(unit.node, self.dependence.knowledge)
            if number is not None:
                return [self._checked(o, by=_NUMBER) for o in operands]
        slotted = slot_keys(unit.node)
        if not operands or not (checked or slotted):
            return operands
        keys = [ast.dump(key) for key in checked]
        slots = [ast.dump(key) for key in slotted]
        return [
            self._checked(o)
            if (text := ast.dump(o)) in keys
            else self._checked(o, by=_SLOT)
            if text in slots
            else o
            for o in operands
        ]

    def _probe(
        self, unit: Unit, number: int, operands: list[ast.expr], probe: Probe | None
    ) -> list[ast.stmt]:
        """An event for what the kernel evaluates before operands that may raise or print.

        In ``totals[key] += f(x)`` a missing key raises before `f` is called. The operands that
        belong to that part are computed once, and `operands` changed so that it takes them over.
        """
        if probe is None or self.dependence.element is not None:
            return []
        count = probe.count
        first = ast.Tuple(elts=probe.parts, ctx=ast.Load())
        site = self._described_sites[number]
        state = count + 1 if site.unsure else 0
        described = replace(site, operands=site.operands[:count], state=state)
        self._probes.add(len(self._sites))
        event = [ast.Constant(len(self._sites)), *(_local(number, k) for k in range(count))]
        if state:
            event.append(_bound_now(site.unsure))
        self._sites.append(ast.copy_location(ast.Expr(value=first), unit.node))
        self._described_sites.append(described)
        made: list[ast.stmt] = [
            ast.Assign(targets=[_local(number, k, ast.Store())], value=operands[k])
            for k in range(count)
        ]
        operands[:count] = [_local(number, k) for k in range(count)]
        made.append(_call(_LOG, ast.Tuple(elts=event, ctx=ast.Load())))
        return [ast.copy_location(s, unit.node) for s in made]

    def _mirror(self, unit: Unit, number: int, operands: list[ast.expr]) -> list[ast.stmt]:
        """The store as the worker makes it: what was there is kept, to be put back."""
        store = copied(unit.node)
        hoister = Hoister(self.dependence, lambda k: _local(number, k), fresh_only=self._fresh_only)
        hoister.statement(store)
        made: list[ast.stmt] = [
            ast.Assign(targets=[_local(number, k, ast.Store())], value=operand)
            for k, operand in enumerate(operands)
        ]
        for place in store_targets(store):
            augmented = ast.Constant(isinstance(store, ast.AugAssign))
            made.append(_call(_KEEP, *_kept(place), augmented))
        return [*(ast.copy_location(s, unit.node) for s in made), store]

    def _checked(self, key: ast.expr, *, by: str = _KEY) -> ast.expr:
        return ast.Call(func=ast.Name(id=by, ctx=ast.Load()), args=[key], keywords=[])

    # -- the kernel's half ---------------------------------------------------------------------

    def _replay(self, loop: ast.For) -> ast.stmt:
        start = ast.Assign(targets=[loop.target], value=_operand(0))
        chain: list[ast.stmt] = [ast.copy_location(start, loop.target)]
        cases = [(START, chain)]
        for number, site in enumerate(self._sites):
            cases.append((number, _with_exits([site])))
        orelse: list[ast.stmt] = []
        for number, body in reversed(cases):
            test = ast.Compare(
                left=ast.Name(id=_SITE, ctx=ast.Load()),
                ops=[ast.Eq()],
                comparators=[ast.Constant(number)],
            )
            orelse = [ast.If(test=test, body=body, orelse=orelse)]
        read = ast.Subscript(
            value=ast.Name(id=EVENT, ctx=ast.Load()), slice=ast.Constant(0), ctx=ast.Load()
        )
        dispatch = ast.Assign(targets=[ast.Name(id=_SITE, ctx=ast.Store())], value=read)
        return ast.For(
            target=ast.Name(id=EVENT, ctx=ast.Store()),
            iter=_name(_EVENTS, loop),
            body=[dispatch, *orelse],
            orelse=[],
        )

    # -- both ----------------------------------------------------------------------------------

    def _half(
        self, parameters: list[str], body: ast.stmt, bound: Iterable[str], loop: ast.For
    ) -> Half:
        names = sorted(n for n in bound if n != FIGURE)
        at_loop = ast.copy_location(body, loop)
        return Half(tuple(parameters), tuple(names), at_loop, self._filename)

    def _refuse_if_idle(self, loop: ast.For) -> None:
        if self._substantial and (self._calls_in_work() or not self._calls_in_kernel()):
            return
        dependence = self.dependence
        commits = [u for u in dependence.every_unit() if u.stage is Stage.COMMIT]
        commits = [u for u in commits if u.whole().substantial]
        for unit in commits:
            refusal = guarded_call(unit, dependence) or kept_call(unit, dependence)
            if refusal is not None:
                raise Unsplittable(refusal, advice_for(unit, dependence), dependence.units)
        for unit in commits:
            if not isinstance(unit.node, ast.Expr):  # nor is a method that only stores
                refusal = Refusal(
                    unit.node.lineno, ast.unparse(unit.node).partition("\n")[0], unit.why
                )
                raise Unsplittable(refusal, advice_for(unit, dependence), dependence.units)
        refusal = Refusal(loop.lineno, "", "there is no work in the body that is worth sending")
        raise Unsplittable(refusal, "", dependence.units)

    def _calls_in_work(self) -> bool:
        """Whether the workers have more to do than an operator or two."""
        units = [u for u in self.dependence.every_unit() if u.stage is Stage.WORK]
        nodes = [n for u in units if not u.blocks for n in u.nodes]
        nodes += [n for operand in self._operands for n in walk(operand)]
        loops = [(u, u.node) for u in units if isinstance(u.node, ast.For | ast.While)]
        headers = [loop.iter if isinstance(loop, ast.For) else loop.test for _, loop in loops]
        nodes += [n for header in headers for n in walk(header)]
        inside = [inner for unit, _ in loops for block in unit.blocks for inner in block]
        return any(isinstance(n, _HEAVY) and not _is_light(n) for n in nodes) or any(
            unit.stage is Stage.WORK for unit in inside
        )

    def _calls_in_kernel(self) -> bool:
        """Whether a commit computes something itself before it stores it."""
        for site in self._sites:
            calls = [n for n in walk(site) if isinstance(n, ast.Call)]
            own = isinstance(site, ast.Expr) and isinstance(site.value, ast.Call)
            if len(calls) > own:
                return True
        return False


def _bound_now(names: Iterable[str]) -> ast.expr:
    """In the worker: the present values of private names."""
    constant = ast.Tuple(elts=[ast.Constant(name) for name in names], ctx=ast.Load())
    return ast.Call(func=ast.Name(id=_BOUND, ctx=ast.Load()), args=[constant], keywords=[])


def _is_heavy(operand: ast.AST) -> bool:
    """Whether there is something to compute that is worth the way to a worker."""
    return any(isinstance(n, _HEAVY) and not _is_light(n) for n in walk(operand))


def _is_light(node: ast.AST) -> bool:
    """Whether it is a call that costs less than the way to a worker."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _LIGHT


def _operand(index: int) -> ast.expr:
    return ast.Subscript(
        value=ast.Name(id=EVENT, ctx=ast.Load()), slice=ast.Constant(index + 1), ctx=ast.Load()
    )


def _name(identifier: str, at: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Name(id=identifier, ctx=ast.Load()), at)


def _call(function: str, *arguments: ast.expr) -> ast.Expr:
    name = ast.Name(id=function, ctx=ast.Load())
    return ast.Expr(value=ast.Call(func=name, args=list(arguments), keywords=[]))


def _local(site: int, index: int, context: ast.expr_context | None = None) -> ast.expr:
    """In the worker: the variable that holds an operand of a mirrored store."""
    return ast.Name(id=f".{site}.{index}", ctx=context or ast.Load())


def _kept(place: ast.expr) -> list[ast.expr]:
    """The object that a mirrored store changes, and the key or attribute under which it does."""
    assert isinstance(place, ast.Attribute | ast.Subscript)
    owner = copied(place.value)
    if isinstance(place, ast.Attribute):
        return [owner, ast.Constant(place.attr), ast.Constant(True)]
    key = copied(place.slice)
    if isinstance(owner, ast.Name) and isinstance(key, ast.Tuple):
        key = key.elts[0]  # the slot as a whole
    return [owner, key, ast.Constant(False)]


def _with_exits(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Statements whose ``continue`` and ``break`` are told to the replay."""
    changed: list[ast.stmt] = []
    for node in statements:
        if isinstance(node, ast.Continue | ast.Break):
            method = "skip" if isinstance(node, ast.Continue) else "stop"
            events = ast.Attribute(
                value=ast.Name(id=_EVENTS, ctx=ast.Load()), attr=method, ctx=ast.Load()
            )
            call = ast.Expr(value=ast.Call(func=events, args=[], keywords=[]))
            changed += [ast.copy_location(call, node), node]
            continue
        blocks = blocks_of(node)
        if isinstance(node, ast.For | ast.While):
            node.orelse = _with_exits(node.orelse)
        elif blocks:
            set_blocks(node, [_with_exits(block) for block in blocks])
        changed.append(node)
    return changed


def _deleted(dependence: Dependence, end: Reach) -> set[str]:
    """Names that the body unbinds itself (``del big``)."""
    deleted: set[str] = set()
    for unit in dependence.every_unit():
        if isinstance(unit.node, ast.Delete):
            deleted |= {t.id for t in unit.node.targets if isinstance(t, ast.Name)}
    return deleted - (end or set())
