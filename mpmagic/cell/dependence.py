"""Loop fission: which statements of a loop's body are work, and which are commits.

Every name of the body falls into one class:

- *kernel*: state that iterations share. A name whose value is carried from one iteration to a
  later one, a name from outside whose object the body mutates, and whatever a commit binds or may
  mutate. Only commits touch these.
- *private*: bound by the work and used in the iteration that bound it. Privatised: it lives in
  the worker, and its last value survives the loop.
- *item*: names of the loop's target; the kernel and the worker both have the item.
- *captured*: read only; sent to the workers.

A unit that touches a kernel name is a commit. The classes grow to a fixed point: what a commit
binds is a kernel name too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mpmagic.cell import tables
from mpmagic.cell.effects import FIGURE, Effects, Mutation, Refusal
from mpmagic.cell.flow import Flow
from mpmagic.cell.functions import Summaries
from mpmagic.cell.guard import hash_checked, infallible, operands_of
from mpmagic.cell.knowledge import UNKNOWN, Knowledge, bound_names
from mpmagic.cell.made import makes_its_own
from mpmagic.cell.managers import Managers
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.slices import Slice, find_slices
from mpmagic.cell.syntax import children, walk
from mpmagic.cell.unit import Stage, Unit, cut

__all__ = ["Allowances", "Dependence", "Unsplittable", "breaks_of", "jumps"]


_WRITING: Final = frozenset(
    {"savefig", "save", "savez", "savetxt", "dump", "write_text", "write_bytes", "to_csv",
     "to_parquet", "to_json", "to_pickle", "write", "writelines", "flush", "close", "commit"}
)  # fmt: skip
_READING: Final = frozenset(
    {"open", "read_text", "read_bytes", "imread", "load", "loadtxt", "read_csv", "read_parquet",
     "read_json", "read_pickle", "stat", "exists", "getsize", "listdir", "glob", "iterdir", "run",
     "check_output"}
)  # fmt: skip


_NEVER_JUMPING: Final = (
    ast.expr, ast.Expr, ast.Assign, ast.AugAssign, ast.FunctionDef, ast.AsyncFunctionDef,
    ast.ClassDef,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Allowances:
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
    """

    ahead: bool = False
    local: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    seeded: bool = False


class Unsplittable(Exception):
    """The loop can't be split; `refusal` says where and why, `advice` what to change."""

    def __init__(self, refusal: Refusal, advice: str = "", units: list[Unit] | None = None) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.advice = advice
        self.units = units or []


@dataclass(slots=True)
class Dependence:
    """The stages of one loop's body.

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
    """

    target: ast.expr
    body: list[ast.stmt]
    knowledge: Knowledge
    allowances: Allowances
    element: ast.stmt | None = None
    iterable: Effects = field(default_factory=Effects)
    targets: set[str] = field(init=False)
    summaries: Summaries = field(init=False)
    scanner: Scanner = field(init=False)
    units: list[Unit] = field(init=False)
    _order: list[Unit] = field(init=False)
    whole: Effects = field(init=False)
    flow: Flow = field(init=False)
    managers: Managers = field(init=False)
    kernel: dict[str, str] = field(init=False, default_factory=dict)
    slices: dict[str, Slice] = field(init=False, default_factory=dict)
    checked_keys: dict[Unit, list[ast.expr]] = field(init=False, default_factory=dict)
    _roots: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.targets = bound_names(self.target)
        self.summaries = Summaries(self.knowledge)
        self.scanner = Scanner(self.knowledge, self.summaries)
        self.units = cut(self.body, self.scanner)
        self._order = [inner for unit in self.units for inner in unit.walk()]
        self.whole = Effects()
        for unit in self.every_unit():
            self.whole.absorb(unit.header)
        self._refuse_at_once()
        self._walk_flow()
        self._seed_carried()
        self._seed_sliced()
        self._seed_mutated()
        if self.element is not None:
            self._seed_element()
        self._grow()
        self._refuse_partly_taken_back()
        self._refuse_breaks()

    # -- names ---------------------------------------------------------------------------------

    @property
    def items(self) -> set[str]:
        """Names of the target that are still the item's when a commit reads them."""
        return self.targets - set(self.whole.binds)

    @property
    def private(self) -> set[str]:
        """Names that the work binds."""
        apart = self.kernel.keys() | self.allowances.local | {FIGURE}
        return (self.whole.binds.keys() - apart) | self.fresh

    @property
    def fresh(self) -> set[str]:
        """Names that each iteration has a copy of its own of, since the user says so."""
        shared = self.kernel.keys() | self.targets
        return self.whole.touched() & self.allowances.private - shared

    def every_unit(self) -> list[Unit]:
        """All units in the order of the source, those inside others included."""
        return self._order

    # -- what can't be split at all ------------------------------------------------------------

    def _refuse_at_once(self) -> None:
        apart = [id(refusal) for _, refusal in self._taken_back()]
        for refusal in self.whole.refusals:
            if id(refusal) not in apart:
                raise self._unsplittable(refusal)
        for node in walk(self.target):
            if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
                reason = "the loop's target isn't a plain name"
                raise self._unsplittable(Refusal(node.lineno, ast.unparse(node), reason))
        if self.whole.kernel_only and self.element is not None:
            for line, reason in self.whole.kernel_only.items():
                raise self._unsplittable(Refusal(line, "", reason))
        if self.whole.draws and not self.allowances.seeded:
            draw = self.whole.draws[0]
            reason = "it draws from a stream of random numbers that iterations share"
            advice = (
                "give each iteration a generator of its own, such as "
                "`np.random.default_rng([seed, i])`, or use `--seed N`"
            )
            raise self._unsplittable(Refusal(draw.line, draw.text, reason), advice)

    def _taken_back(self) -> Iterator[tuple[Unit, Refusal]]:
        """Changes of the process's state that end with a ``with`` of the body around them."""
        for unit in self.every_unit():
            if isinstance(unit.node, ast.With):
                calls = [i.context_expr for i in unit.node.items]
                made = [self.knowledge.resolve(c.func) for c in calls if isinstance(c, ast.Call)]
                names = {tables.qualified_name(callee) for callee in made} - {""}
                inside = (u for block in unit.blocks for inner in block for u in inner.walk())
                for refusal in (r for u in inside for r in u.header.refusals):
                    if refusal.taken_back_by in names:
                        yield unit, refusal

    def _refuse_partly_taken_back(self) -> None:
        """Without the state of the worker's ``with``, a commit inside could do something else."""
        for unit, refusal in self._taken_back():
            if unit.stage is Stage.WORK:
                for inner in _commits_in(unit.blocks):
                    if not infallible(inner.node, self.knowledge):
                        raise self._unsplittable(refusal)

    def _unsplittable(self, refusal: Refusal, advice: str = "") -> Unsplittable:
        return Unsplittable(refusal, advice, self.units)

    # -- the seeds -----------------------------------------------------------------------------

    def _walk_flow(self) -> None:
        units = {id(unit.node): unit for unit in self.every_unit()}

        def hidden_reads(node: ast.AST) -> list[str]:
            unit = units[id(node)]
            effects = unit.header
            if isinstance(node, ast.ClassDef):
                return list(effects.reads)
            return [n for n in effects.reads if n in effects.late or n not in unit.spelt]

        def hidden_binds(node: ast.AST) -> list[str]:
            return [FIGURE] if FIGURE in units[id(node)].header.binds else []

        self.managers = Managers(self.knowledge, self.body, self.targets)
        self.flow = Flow(hidden_reads, hidden_binds, self.managers.may_suppress)
        self.flow.iteration(self.body, self.targets)

    def _seed_carried(self) -> None:
        for name, line in self.flow.exposed.items():
            apart = self.allowances.local | self.allowances.private
            if name in self.whole.binds and name not in apart:
                self.kernel[name] = self._carried(name, line)

    def _carried(self, name: str, line: int) -> str:
        bound_at = self.whole.binds[name]
        if not any(name in bound_names(statement) for statement in self.body):
            return f"line {line} calls a function that binds `{name}`, which iterations share"
        if bound_at == line:
            return f"line {line} carries `{name}` from one iteration to the next"
        return f"line {line} reads `{name}` as line {bound_at} of the iteration before left it"

    def _seed_sliced(self) -> None:
        if self.element is not None or not self.knowledge.slicing:
            return
        units = self.every_unit()
        found = find_slices(units, self.targets, self.whole, self.scanner)
        apart = self.kernel.keys() | self.allowances.local | self.allowances.private
        self.slices = {n: s for n, s in found.items() if n not in apart}
        for unit in units:
            names = [n for n in unit.header.mutates if n in self.slices]
            if names:
                unit.mirrored = any(self.slices[n].mirrored for n in names)
                self.commit(unit, f"it stores into `{names[0]}` where no other iteration does")

    def _seed_mutated(self) -> None:
        for unit in self.every_unit():
            for name, mutation in unit.header.mutates.items():
                if name not in self.slices and not self._changes_its_own(name, unit):
                    self._seed_shared(name, mutation)
        for name in (*self.iterable.binds, *self.iterable.mutates):
            if name in self.whole.touched():
                line = self.whole.reads.get(name, self.target.lineno)
                reason = f"the loop's iterable changes `{name}` while it is read ahead"
                raise self._unsplittable(Refusal(line, name, reason))
        if FIGURE in self.whole.binds and not self._closes_figures():
            self.kernel[FIGURE] = "figures that aren't closed are shown by the kernel"

    def _seed_shared(self, name: str, mutation: Mutation) -> None:
        apart = self.allowances.local | self.allowances.private
        shared = {n for n in self.alias_roots(name) if self._is_outside(n)} - apart
        names = [n for n in (*sorted(shared), name) if n not in self.kernel] if shared else []
        if names:
            why = f"line {mutation.line}, `{mutation.text}`, changes `{name}`"
            self.kernel |= dict.fromkeys(names, why)

    def _changes_its_own(self, name: str, unit: Unit) -> bool:
        """Whether a unit changes nothing of `name` but an object that the iteration has made."""
        if not unit.header.mutates[name].shallow or name in self.kernel:
            return False
        augments = isinstance(unit.node, ast.AugAssign) and isinstance(unit.node.target, ast.Name)
        if augments and self.knowledge.items_immutable:
            if not {n for n in self.alias_roots(name) if self._is_outside(n)} - self.targets:
                return True  # a new object of an immutable type
        bound = name in self.whole.binds
        return bound and makes_its_own(name, unit, self.units, name in self.targets, self.knowledge)

    def _closes_figures(self) -> bool:
        calls = [n.func for u in self.units for n in u.nodes if isinstance(n, ast.Call)]
        names = {f.attr for f in calls if isinstance(f, ast.Attribute)}
        return "close" in names and "show" not in names

    def _seed_element(self) -> None:
        """Nothing but its element may touch the kernel in a comprehension."""
        for name, why in self.kernel.items():
            line = self.whole.mutates[name].line if name in self.whole.mutates else 0
            raise self._unsplittable(Refusal(line, name, why))
        for unit in self.every_unit():
            if unit.node is self.element:
                self.commit(unit, "the kernel collects the elements")

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

    def _is_outside(self, name: str) -> bool:
        if name == FIGURE:
            return FIGURE in self.flow.exposed
        return name in self.targets or name not in self.whole.binds or name in self.kernel

    # -- the fixed point -----------------------------------------------------------------------

    def _grow(self) -> None:
        before = -1
        while before != (now := len(self.kernel) + self._commits()):
            before = now
            for unit in self.units:
                self._visit(unit)
            if not self.allowances.ahead:
                self._guard(self.units, "")
            self._keep_order()
            self._keep_outside_order()
            self._keep_sliced()

    def _commits(self) -> int:
        return sum(unit.stage is Stage.COMMIT for unit in self.every_unit())

    def _visit(self, unit: Unit) -> None:
        if unit.stage is Stage.COMMIT:
            return
        why = self._touches_kernel(unit.header)
        if why:
            self.commit(unit, why)
            return
        for block in unit.blocks:
            for inner in block:
                self._visit(inner)
        self._check_compound(unit)

    def _touches_kernel(self, effects: Effects) -> str:
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
        bound_here = {n for n in self.whole.binds if n not in self.kernel}
        for name in effects.binds:
            self.kernel.setdefault(name, f"line {effects.binds[name]} binds `{name}` in a commit")
        hidden = {n for n in effects.reads if n in effects.late or n not in unit.spelt}
        for name in bound_here & hidden:
            line = effects.reads[name]
            self.kernel.setdefault(name, f"line {line}: the kernel's functions read `{name}`")
        for name in bound_here & self._read_when_called(effects.reads):
            self.kernel.setdefault(
                name, f"a function that a commit gets reads `{name}` when called"
            )
        for name in effects.mutates:
            if name in bound_here:
                why_mutated = f"line {effects.mutates[name].line} changes `{name}` in a commit"
                self.kernel.setdefault(name, why_mutated)

    def _read_when_called(self, names: Iterable[str]) -> set[str]:
        """What functions read that the body makes and keeps under `names`."""
        made = {root for name in names for root in self.alias_roots(name)}
        units = (u for u in self.every_unit() if not made.isdisjoint(u.header.binds))
        return {name for unit in units for name in unit.header.late}

    def _check_compound(self, unit: Unit) -> None:
        """Make a compound unit a commit if its control flow hangs on the commits inside it."""
        if isinstance(unit.node, ast.For | ast.While) and _leaks(unit.blocks[0]):
            self.commit(unit, "a commit inside it decides how the inner loop goes on")
        elif isinstance(unit.node, ast.Try | ast.TryStar):
            self._check_protected(unit, unit.blocks if unit.node.finalbody else unit.blocks[:1])
        elif isinstance(unit.node, ast.With):
            opened = {n for i in unit.node.items if i.optional_vars for n in bound_names(i)}
            for inner in _commits_in(unit.blocks):
                if self._needs_object(inner.node, opened):
                    why = f"line {inner.node.lineno}, a commit, uses what it opens"
                    self.commit(unit, why)
                    return
            contexts = [item.context_expr for item in unit.node.items]
            if not all(self.managers.raises_past(c) for c in contexts):
                self._check_protected(unit, unit.blocks)

    def _needs_object(self, node: ast.AST, names: set[str]) -> bool:
        """Whether a commit uses the very object of one of `names`, not a value made of it."""
        if isinstance(node, ast.Name):
            return node.id in names
        if isinstance(node, ast.expr):
            if not self._touches_kernel(self.scanner.scan([node])):
                return False  # computed in the worker
        return any(self._needs_object(child, names) for child in children(node))

    def _check_protected(self, unit: Unit, blocks: list[list[Unit]]) -> None:
        """An exception of a commit under ``try`` or ``with`` would change what follows."""
        for inner in _commits_in(blocks):
            if inner.mirrored:
                continue  # the worker's own store raises first, where the handlers are
            if isinstance(unit.node, ast.Try) and self._past_handlers(unit.node, inner):
                continue
            if not self.surely_commits(inner):
                kind = type(unit.node).__name__.lower().removesuffix("star")
                line, at = inner.node.lineno, unit.node.lineno
                self.commit(unit, f"line {line} may raise under the `{kind}` of line {at}")
                return
            self.checked_keys[inner] = hash_checked(inner.node, self.knowledge)

    def _past_handlers(self, node: ast.Try, inner: Unit) -> bool:
        """Whether what the commit can raise isn't caught here."""
        if node.finalbody or not self.surely_commits(inner):
            return False
        types = [self.knowledge.resolve(h.type) for h in node.handlers if h.type is not None]
        known = len(types) == len(node.handlers)
        return known and all(isinstance(t, type) and not issubclass(TypeError, t) for t in types)

    def surely_commits(self, unit: Unit) -> bool:
        """Whether a commit can't raise once its operands are there."""
        read_there = unit.header.reads.keys() - self.private - self.targets
        if not all(self.knowledge.defined(name) for name in read_there):
            return False
        own = [p for p in operands_of(unit.node) if not isinstance(p, ast.Name | ast.Constant)]
        if any(self._touches_kernel(self.scanner.scan([part])) for part in own):
            return False  # the kernel evaluates it itself
        return infallible(unit.node, self.knowledge)

    # -- sliced state --------------------------------------------------------------------------

    def _keep_sliced(self) -> None:
        """Give up what the kernel alone can know the slots' content of."""
        if not self.slices:
            return
        order = self.every_unit()
        covered = {id(i) for u in order if u.blocks and u.stage is Stage.COMMIT for i in u.walk()}
        for at, unit in enumerate(order):
            touched = self._reached_slices(unit)
            if not touched:
                continue
            why = ""
            if unit.mirrored:
                why = self._touches_kernel(unit.header) or (unit.why if id(unit) in covered else "")
            elif unit.stage is Stage.COMMIT and self._stored_later(order, at, touched):
                why = f"line {unit.node.lineno}, a commit, reads it before it is stored"
            if why:
                self._give_up_slices(unit, why)

    def _reached_slices(self, unit: Unit) -> set[str]:
        """Sliced names that a unit touches, by themselves or through what is taken from them."""
        names = unit.header.touched()
        return self.slices.keys() & {root for n in names for root in self.alias_roots(n)}

    def _give_up_slices(self, unit: Unit, why: str) -> None:
        """What `unit` touches is shared state after all."""
        for name in self._reached_slices(unit):
            del self.slices[name]
            self.kernel[name] = why
        for other in self.every_unit():
            other.mirrored = other.mirrored and any(n in self.slices for n in other.header.mutates)

    def _stored_later(self, order: list[Unit], at: int, names: set[str]) -> bool:
        """Whether a mirrored store to one of `names` may follow unit `at` in its iteration."""
        later = [u for u in self._following(order, at) if u.mirrored]
        return any(n in u.header.mutates for u in later for n in names)

    # -- order within an iteration -------------------------------------------------------------

    def _guard(self, units: list[Unit], why: str) -> str:
        """Make a commit of whatever runs only if a commit before it lets the iteration go on."""
        for unit in units:
            if why:
                for inner_unit in unit.walk():
                    inner_unit.guarded = True
                if unit.stage is Stage.WORK or unit.mirrored:
                    self._give_up_slices(unit, why)
                    self.commit(unit, why)
            if unit.stage is Stage.COMMIT:
                if jumps(unit.node):
                    why = why or self._guard_reason(unit)
                continue
            inner = ""
            if not isinstance(unit.node, ast.For | ast.While):
                for block in unit.blocks:
                    inner = self._guard(block, why) or inner
            why = why or inner
        return why

    def _guard_reason(self, unit: Unit) -> str:
        return f"it runs only if line {unit.node.lineno} lets the iteration go on; {unit.why}"

    def _keep_order(self) -> None:
        """A temporary that a commit was handed must not change, or be changed, behind its back."""
        order = self.every_unit()
        for i, unit in enumerate(order):
            if unit.stage is not Stage.COMMIT:
                continue
            for name, storing in self._handed(unit):
                names = self._leading_to(name)
                later = self._after(order, i)
                if any(_conflicts(u, names, storing=storing) for u in later):
                    why = f"line {unit.node.lineno}, a commit, was handed `{name}`"
                    self.kernel.setdefault(name, why)

    def _keep_outside_order(self) -> None:
        """Work that may read what a commit before it has written outside must come after it."""
        written = 0
        for unit in self.every_unit():
            names = {
                f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")
                for n in (unit.nodes if not unit.blocks else ())
                if isinstance(n, ast.Call)
                for f in [n.func]
            }
            if unit.stage is Stage.COMMIT and names & _WRITING:
                written = written or unit.node.lineno
            elif written and names & _READING:
                unit.guarded = True  # none of it may run ahead of that commit
                if unit.stage is Stage.WORK:
                    self.commit(unit, f"it may read what line {written}, a commit, writes outside")

    def _after(self, order: list[Unit], i: int) -> list[Unit]:
        """Work that may run after unit `i` in the same iteration."""
        return [u for u in self._following(order, i) if u.stage is Stage.WORK]

    def _following(self, order: list[Unit], i: int) -> list[Unit]:
        """Units that may run after unit `i` in the same iteration."""
        inner_loop = next(
            (
                u
                for u in self.every_unit()
                if isinstance(u.node, ast.For | ast.While)
                and order[i] in u.walk()
                and u is not order[i]
            ),
            None,
        )
        again = list(inner_loop.walk()) if inner_loop is not None else []
        return [*order[i + 1 :], *again]

    def _leading_to(self, name: str) -> set[str]:
        """`name` and the names whose values may be taken from it."""
        bound = (*self.whole.binds, *self.targets)
        return {n for n in bound if name in self.alias_roots(n)} | {name}

    def _handed(self, unit: Unit) -> Iterator[tuple[str, bool]]:
        """Private names and items whose very object a commit gets, and whether it only keeps it."""
        if isinstance(unit.node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match):
            return  # its header's operands are values; what is inside is visited by itself
        calls = [n for n in unit.nodes if isinstance(n, ast.Call)]
        names = self.private | self.items if calls else ()
        for call in calls:
            values = [*call.args, *(k.value for k in call.keywords)]
            parts = [v.value if isinstance(v, ast.Starred) else v for v in values]
            given = [p.id for p in parts if isinstance(p, ast.Name) and p.id in names]
            callee = self.knowledge.resolve(call.func)
            if not given or (callee is not UNKNOWN and tables.never_mutates_arguments(callee)):
                continue
            if not self._touches_kernel(self.scanner.scan([call])):
                continue
            storing = self._keeps_only(call)
            for name in given:
                yield name, storing

    def _keeps_only(self, call: ast.Call) -> bool:
        if not isinstance(call.func, ast.Attribute):
            return False
        kind = self.knowledge.type_of(call.func.value)
        if kind in (list, set, dict) or call.func.attr in ("append", "add"):
            return True
        return call.func.attr in ("write", "info", "debug", "warning", "error", "update")

    def _refuse_breaks(self) -> None:
        """Without ``--ahead`` no iteration may run that a break could have prevented."""
        if self.allowances.ahead:
            return
        for line in breaks_of(self.body):
            reason = "it may end the loop while later iterations are running already"
            advice = "`--ahead` lets work run that the serial cell might have skipped"
            raise self._unsplittable(Refusal(line, "break", reason), advice)


def _commits_in(blocks: list[list[Unit]]) -> list[Unit]:
    """The outermost commits inside blocks."""
    found: list[Unit] = []
    for block in blocks:
        for unit in block:
            if unit.stage is Stage.COMMIT:
                found.append(unit)
            else:
                found += _commits_in(unit.blocks)
    return found


def _conflicts(unit: Unit, names: set[str], *, storing: bool) -> bool:
    if names & unit.header.mutates.keys():
        # To keep a reference is all that the commit did: the serial loop's object changes too.
        return True
    return not storing and bool(names & unit.header.reads.keys())


def _leaks(units: list[Unit]) -> bool:
    """Whether a commit among the units leaves the loop around them, or its iteration."""
    for unit in units:
        if unit.stage is Stage.COMMIT:
            if jumps(unit.node):
                return True
        elif isinstance(unit.node, ast.For | ast.While):
            if _leaks(unit.blocks[1]):
                return True
        elif any(_leaks(block) for block in unit.blocks):
            return True
    return False


def jumps(node: ast.AST, *kinds: type[ast.stmt]) -> bool:
    """Whether running `node` may break or continue a loop around it; of `kinds`, if any."""
    if isinstance(node, kinds or (ast.Break, ast.Continue)):
        return True
    if isinstance(node, _NEVER_JUMPING):
        return False
    inside = node.orelse if isinstance(node, ast.For | ast.While) else children(node)
    return any(jumps(child, *kinds) for child in inside)


def breaks_of(statements: list[ast.stmt]) -> list[int]:
    """Lines of the breaks that end the loop whose body `statements` are."""
    lines: list[int] = []
    for node in statements:
        if isinstance(node, ast.Break):
            lines.append(node.lineno)
        elif isinstance(node, ast.For | ast.While):
            lines += breaks_of(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                lines += breaks_of(getattr(node, name, []))
            for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                lines += breaks_of(part.body)
    return lines
