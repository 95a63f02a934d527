"""Dependence between a loop's iterations: to which class each name of its body belongs.

Every name of the body falls into one class:

- *kernel*: state that iterations share. A name whose value is carried from one iteration to a
  later one, a name from outside whose object the body mutates, and whatever a commit binds or may
  mutate. Only commits touch these.
- *private*: bound by the work and used in the iteration that bound it. Privatised: it lives in
  the worker, and its last value survives the loop.
- *item*: names of the loop's target; the kernel and the worker both have the item.
- *captured*: read only; sent to the workers.

Whatever becomes a commit makes the names that it binds the kernel's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mpmagic.cell.draw import Draw
from mpmagic.cell.effects import FIGURE, Effects, Refusal
from mpmagic.cell.flow import Flow
from mpmagic.cell.functions import Summaries
from mpmagic.cell.guard import hash_checked, infallible, number_checked, operands_of
from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.managers import Managers
from mpmagic.cell.paths import root_of
from mpmagic.cell.prepared import Prepared
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.slices import Slice
from mpmagic.cell.unit import Stage, Unit, cut

__all__ = ["Allowances", "Dependence", "Unsplittable"]


class Allowances(NamedTuple):
    """What the user lets a loop do beyond the promise's defaults.

    Attributes
    ----------
    ahead
        Work may run that the serial cell would have skipped.
    local
        Names of which each worker may keep its own, changed or not.
    private
        Names of which each iteration has a copy of its own; the last one stays.
    seeded
        Whether iterations get random streams of their own.
    apart
        Whether workers have processes of their own.
    """

    ahead: bool = False
    local: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    seeded: bool = False
    apart: bool = True


class Unsplittable(Exception):
    """The loop can't be split; `refusal` says where and why, `advice` what to change."""

    def __init__(self, refusal: Refusal, advice: str = "", units: list[Unit] | None = None) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.advice = advice
        self.units = units or []


@dataclass(slots=True)
class Dependence:
    """One loop's body: its units, and the classes of its names, as `stages.staged` finds them.

    Parameters
    ----------
    target
        The loop's target.
    body
        Its statements.
    knowledge
        What names stand for when the loop is reached.
    allowances
        What the user allows.
    element
        Of a comprehension written as a loop, the statement that stands for its element: it is
        the kernel's to collect.
    iterable
        The effects of the loop's iterable, some of which may come while it is iterated.
    draws
        The draws of random numbers that were set apart, by the statements that make them.
    """

    target: ast.expr
    body: list[ast.stmt]
    knowledge: Knowledge
    allowances: Allowances
    element: ast.stmt | None = None
    iterable: Effects = field(default_factory=Effects)
    draws: Mapping[int, Draw] = field(default_factory=dict)
    targets: set[str] = field(init=False)
    summaries: Summaries = field(init=False)
    scanner: Scanner = field(init=False)
    units: list[Unit] = field(init=False)
    _order: list[Unit] = field(init=False)
    _inner_loops: list[Unit] = field(init=False)
    whole: Effects = field(init=False)
    deleted: set[str] = field(init=False)
    flow: Flow = field(init=False)
    managers: Managers = field(init=False)
    kernel: dict[str, str] = field(init=False, default_factory=dict)
    slices: dict[str, Slice] = field(init=False, default_factory=dict)
    checked_keys: dict[Unit, list[ast.expr]] = field(init=False, default_factory=dict)
    protected: set[Unit] = field(init=False, default_factory=set)
    prepared: Prepared = field(init=False, default_factory=Prepared)
    _roots: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.targets = bound_names(self.target)
        self.summaries = Summaries(self.knowledge)
        self.scanner = Scanner(self.knowledge, self.summaries)
        self.units = cut(self.body, self.scanner)
        self._order = [inner for unit in self.units for inner in unit.walk()]
        self._inner_loops = [u for u in self._order if isinstance(u.node, ast.For | ast.While)]
        self.whole, self.deleted = Effects(), set()
        for unit in self.every_unit():
            self.whole.absorb(unit.header)
            self.deleted |= unit.deletes

    @property
    def items(self) -> set[str]:
        """Names of the target that are still the item's when a commit reads them."""
        return self.targets - set(self.whole.binds)

    @property
    def private(self) -> set[str]:
        """Names that the work binds."""
        apart = self.kernel.keys() | self.allowances.local | self.prepared.names | {FIGURE}
        return (self.whole.binds.keys() - apart) | self.fresh

    @property
    def fresh(self) -> set[str]:
        """Names that each iteration has a copy of its own of, since the user says so."""
        shared = self.kernel.keys() | self.targets
        return self.whole.touched() & self.allowances.private - shared

    def every_unit(self) -> list[Unit]:
        """All units in the order of the source, those inside others included."""
        return self._order

    def following(self, order: list[Unit], i: int) -> list[Unit]:
        """Units that may run after unit `i` in the same iteration."""
        around = (u for u in self._inner_loops if order[i] in u.walk() and u is not order[i])
        inner_loop = next(around, None)
        again = list(inner_loop.walk()) if inner_loop is not None else []
        return [*order[i + 1 :], *again]

    def alias_roots(self, name: str) -> set[str]:
        """`name` and every name from which its value may be taken as a path."""
        if name in self._roots:
            return self._roots[name]
        reached, open_ = {name}, [name]
        while open_:
            for root in self.whole.aliases.get(open_.pop(), ()):
                if root not in reached:
                    reached.add(root)
                    open_.append(root)
        return self._roots.setdefault(name, reached)

    def is_outside(self, name: str) -> bool:
        """Whether a name's object may come from outside the iteration."""
        if name == FIGURE:
            return FIGURE in self.flow.exposed
        return name in self.targets or name not in self.whole.binds or name in self.kernel

    def touches_kernel(self, effects: Effects) -> str:
        """Why effects have to be the kernel's; empty where they needn't be."""
        for line, reason in effects.kernel_only.items():
            return f"line {line}, {reason}"
        for name in (*effects.reads, *effects.binds, *effects.mutates):
            if name in self.kernel:
                return self.kernel[name]
        return ""

    def commit(self, unit: Unit, why: str) -> None:
        """Make the whole unit a commit, and its names the kernel's."""
        effects = unit.whole()
        for inner in unit.walk():
            inner.stage, inner.why = Stage.COMMIT, why
        # What runs ahead the kernel has too, and it's immutable.
        apart = self.kernel.keys() | self.prepared.names
        bound_here = self.whole.binds.keys() - apart
        for name in effects.binds:
            self.kernel.setdefault(name, f"line {effects.binds[name]} binds `{name}` in a commit")
        hidden = effects.unspelt(unit.spelt) | _read_by_definitions(unit)
        for name in bound_here & hidden:
            line = effects.reads[name]
            self.kernel.setdefault(name, f"line {line}: the kernel's functions read `{name}`")
        for name in bound_here & self._read_when_called(effects.reads):
            self.kernel.setdefault(
                name, f"a function that a commit gets reads `{name}` when called"
            )
        for name, mutation in effects.mutates.items():
            for root in self.alias_roots(name) & bound_here:
                why_mutated = f"line {mutation.line} changes `{name}` in a commit"
                self.kernel.setdefault(root, why_mutated)
        for call, name in self._changed_by_methods(unit) if unit.blocks else ():
            for root in self.alias_roots(name) & bound_here:
                why_called = f"line {call.lineno} calls a method of `{name}` in a commit"
                self.kernel.setdefault(root, why_called)

    def _changed_by_methods(self, unit: Unit) -> Iterator[tuple[ast.Call, str]]:
        """Calls of methods whose receiver may be of a class of the notebook, which they change.

        As a part of an expression that is taken for work; here the kernel evaluates it.
        """
        for node in unit.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = root_of(node.func.value)
                if name is not None and self.summaries.may_change_receiver(node.func.attr):
                    yield node, name

    def _read_when_called(self, names: Iterable[str]) -> set[str]:
        """What functions read that the body makes and keeps under `names`."""
        made = {root for name in names for root in self.alias_roots(name)}
        units = (u for u in self.every_unit() if not made.isdisjoint(u.header.binds))
        return {name for unit in units for name in unit.header.late}

    def surely_commits(self, unit: Unit) -> bool:
        """Whether a commit can't raise once its operands are there."""
        read_there = unit.header.reads.keys() - self.private - self.targets - self.prepared.drawn
        if not all(self.knowledge.defined(name) for name in read_there):
            return False
        checked = [*hash_checked(unit.node, self.knowledge)]
        checked += filter(None, [number_checked(unit.node, self.knowledge)])
        if any(isinstance(p, ast.Name) and p.id in self.kernel for p in checked):
            return False  # nor can the worker look at it
        own = [p for p in operands_of(unit.node) if not isinstance(p, ast.Name | ast.Constant)]
        if any(self.touches_kernel(self.scanner.scan([part])) for part in own):
            return False  # the kernel evaluates it itself
        return infallible(unit.node, self.knowledge)

    def unsplittable(self, refusal: Refusal, advice: str = "") -> Unsplittable:
        """The error that says where the loop can't be split, and why."""
        return Unsplittable(refusal, advice, self.units)


def _read_by_definitions(unit: Unit) -> set[str]:
    """What functions and classes are made of that a commit defines: the kernel's names, as written.

    Their defaults, decorators, bases and what a class body reads are no operands of a commit.
    """
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {n for u in unit.walk() if isinstance(u.node, kinds) for n in u.header.reads}
