"""State that feeds the work and isn't fed by it: which of it the kernel can run ahead.

``i += 1``, ``prev = x``, ``lr *= 0.9`` are a slice of the body that needs nothing of the work. The
kernel runs it ahead, in order, on names of its own, and sends what these hold along with the items;
the worker runs it again from there, at its place, and the notebook's names move on with the
commits. All three see one and the same, since the slice is pure and its values are immutable.
"""

from __future__ import annotations

import ast
import types
from typing import Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.draw import Draw
from mpmagic.cell.jumps import jumps
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.prepared import Prepared, drawing, keeping, looking_at
from mpmagic.cell.purity import Purity
from mpmagic.cell.rebinding import rebound_by_functions
from mpmagic.cell.series import made_of
from mpmagic.cell.shuffles import copied_from
from mpmagic.cell.syntax import copied, loaded, unannotated, walk
from mpmagic.cell.unit import Stage, Unit

__all__ = ["NotAhead", "is_kept_apart", "seed_prepared"]

_VALUES: Final = frozenset({int, float, complex, str, bytes, bool, tuple, type(None)})


class NotAhead(Exception):
    """What was to run ahead can't: a commit turned out to reach it."""


def seed_prepared(dependence: Dependence) -> None:
    """Find the state that can run ahead, if any work reads it, and the draws."""
    if not dependence.knowledge.preparing:
        return
    if dependence.element is not None and not dependence.draws:
        return
    if dependence.whole.enters:  # what is done under a lock isn't torn apart
        return
    search = _Search(dependence)
    names = search.stable(_candidates(dependence) - search.rebound)
    drawn = {draw.name for draw in dependence.draws.values()}
    if not drawn <= names:
        return
    needed = search.closure(_read_by_others(dependence, names, search.units) | drawn)
    if not needed or search.stable(needed) != needed:
        return
    for unit in search.units:
        unit.stage, unit.why = Stage.PREPARE, _why(dependence, unit, search.units)
    reads = {name for unit in search.units for name in search.reads_of(unit)} | search.tested
    dependence.prepared = Prepared(
        names=frozenset(needed),
        carried=tuple(sorted(needed & dependence.flow.exposed.keys())),
        items=frozenset(reads & dependence.items | needed & dependence.targets),
        constants=frozenset(reads - needed - dependence.targets),
        functions=frozenset(search.functions),
        sources=frozenset(search.sources),
        draws=tuple(dependence.draws.values()),
        generators=frozenset(search.generators),
        body=tuple(search.slice(dependence.units)),
    )
    dependence.kernel |= dict.fromkeys(search.generators, "its values are taken ahead of the work")


def is_kept_apart(dependence: Dependence) -> bool:
    """Whether nothing that came to be a commit reaches what runs ahead."""
    prepared = dependence.prepared
    own = prepared.names | prepared.items | prepared.constants | prepared.sources
    return own.isdisjoint(dependence.kernel) and all(
        unit.stage is Stage.PREPARE or prepared.names.isdisjoint(unit.header.binds)
        for unit in dependence.every_unit()
    )


def _candidates(dependence: Dependence) -> set[str]:
    """Names that the body binds and whose values may run ahead, as far as their types tell."""
    allowances, knowledge = dependence.allowances, dependence.knowledge
    names = dependence.whole.binds.keys() - allowances.local - allowances.private
    names -= dependence.deleted | dependence.iterable.binds.keys()
    return {name for name in names if _may_run_ahead(dependence, name)} - knowledge.staying.keys()


def _may_run_ahead(dependence: Dependence, name: str) -> bool:
    knowledge = dependence.knowledge
    if name not in dependence.flow.exposed:
        return name not in knowledge.not_plain
    return knowledge.defined(name) and _may_be_plain(knowledge, name)


def _may_be_plain(knowledge: Knowledge, name: str) -> bool:
    """Whether a name from outside may stand for an immutable value of a builtin type."""
    kind = knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
    array_scalar = kind is not None and kind.__module__ == "numpy" and kind.__name__ != "ndarray"
    known = kind is None or kind in _VALUES or array_scalar
    return known and name not in knowledge.not_plain


def _read_by_others(dependence: Dependence, names: set[str], units: list[Unit]) -> set[str]:
    """Those names whose values come from the iteration before and are read by anything else."""
    others = (u for u in dependence.every_unit() if u not in units)
    read = {name for unit in others for name in unit.header.reads}
    return names & dependence.flow.exposed.keys() & read


def _why(dependence: Dependence, unit: Unit, units: list[Unit]) -> str:
    if (draw := dependence.draws.get(id(unit.node))) is not None:
        made = "taken" if draw.steps else "drawn"
        return f"`{draw.text}` is {made} ahead of the work, in order"
    for other in dependence.every_unit():
        read = sorted(unit.header.binds.keys() & other.header.reads.keys())
        if read and other is not unit and other not in units:
            return f"runs ahead of the work: line {other.node.lineno} reads `{read[0]}`"
    return "runs ahead of the work, which needs what is made of it"


class _Search:
    """Looks for a slice of the body that binds certain names, and needs nothing else of it.

    Attributes
    ----------
    units
        Its statements.
    tested
        Names that its conditions read.
    sources
        Names that its draws take from.
    generators
        Names of the generators that these draw from.
    rebound
        Names that functions of the notebook bind, whoever may call them.
    """

    def __init__(self, dependence: Dependence) -> None:
        self.units: list[Unit] = []
        self.tested: set[str] = set()
        self.sources: set[str] = set()
        self._dependence = dependence
        self._bound = set(dependence.whole.binds)
        self._purity = Purity(dependence.knowledge, self._bound | dependence.targets)
        self.rebound = rebound_by_functions(dependence.whole.touched(), dependence.knowledge)
        self._names: set[str] = set()
        self._known_tests: set[Unit] = set()
        owners = {draw.owner for draw in dependence.draws.values()}
        value = dependence.knowledge.value
        self.generators = {n for n in owners if not isinstance(value(n), types.ModuleType)}

    @property
    def functions(self) -> set[str]:
        """Names of functions and modules that pure expressions of the body use."""
        return self._purity.functions

    def stable(self, names: set[str]) -> set[str]:
        """Those of `names` that nothing but the slice binds; `units` are what binds them."""
        self._names = set(names)
        before = -1
        while before != (before := len(self._names)):
            self.units, self.tested, self._known_tests = [], set(), set()
            self._visit(self._dependence.units)
        return set(self._names)

    def closure(self, names: set[str]) -> set[str]:
        """`names`, and those that the slice needs for them."""
        needed, before = names and names | (self.tested & self._names), -1
        while before != (before := len(needed)):
            for unit in self.units:
                if not needed.isdisjoint(unit.header.binds):
                    needed |= self.reads_of(unit) & self._names
                    needed |= unit.header.binds.keys()
        return needed

    def reads_of(self, unit: Unit) -> set[str]:
        """The names of plain values that a statement of the slice reads."""
        if (draw := self._dependence.draws.get(id(unit.node))) is not None:
            return self._drawing_reads(draw) or set()
        value: ast.expr | None = getattr(unit.node, "value", None)
        read = set() if value is None else self._purity.reads(value) or set()
        return read | unit.header.binds.keys() if isinstance(unit.node, ast.AugAssign) else read

    def slice(self, units: list[Unit]) -> list[ast.stmt]:
        """The statements of the slice among `units`, with their conditions."""
        found: list[ast.stmt] = []
        for unit in units:
            if (draw := self._dependence.draws.get(id(unit.node))) is not None:
                found += self._drawing(unit.node, draw)
            elif unit in self.units:
                found.append(unannotated(copied(unit.node)))
                found += [looking_at(name, unit.node) for name in sorted(unit.header.binds)]
            elif isinstance(unit.node, ast.Continue):
                found.append(unit.node)
            elif unit in self._known_tests:
                assert isinstance(unit.node, ast.If)
                body, orelse = (self.slice(block) for block in unit.blocks)
                if body or orelse:
                    branch = ast.If(unit.node.test, body or [ast.Pass()], orelse)
                    found.append(ast.copy_location(branch, unit.node))
        return found

    def _visit(self, units: list[Unit]) -> bool:
        """Walk through units in order; whether it is known that what follows them runs."""
        known = True
        for unit in units:
            if known and self._is_pure(unit):
                self.units.append(unit)
            elif known and isinstance(unit.node, ast.If) and self._is_tested(unit):
                self._known_tests.add(unit)
                for block in unit.blocks:
                    known = self._visit(block) and known
            else:
                self._names -= unit.whole().binds.keys()
                decided = known and isinstance(unit.node, ast.Continue)
                known = known and (decided or not jumps(unit.node, ast.Continue))
        return known

    def _is_tested(self, unit: Unit) -> bool:
        assert isinstance(unit.node, ast.If)
        read = self._purity.reads(unit.node.test)
        if read is None or not self._are_known(read) or unit.header.binds:
            return False
        holds = any(isinstance(u.node, ast.Continue) or self._is_pure(u) for u in unit.walk())
        self.tested |= read if holds else set()
        return True

    def _is_pure(self, unit: Unit) -> bool:
        bound = unit.header.binds.keys()
        if (draw := self._dependence.draws.get(id(unit.node))) is not None:
            read = self._drawing_reads(draw) if bound <= self._names else None
            return read is not None and self._are_known(read)
        if not bound or not bound <= self._names or not _binds_plainly(unit.node):
            return False
        value: ast.expr | None = getattr(unit.node, "value", None)
        read = self._purity.reads(value) if value is not None else None
        return read is not None and self._are_known(read)

    def _drawing(self, node: ast.stmt, draw: Draw) -> list[ast.stmt]:
        """A draw as the slice makes it, from the shadow of its generator."""
        number = [*self._dependence.draws.values()].index(draw)
        function = loaded(drawing(number), node)
        made = copied(node, {id(call.func): function for call in draw.calls})
        if draw.steps and isinstance(made, ast.Assign) and isinstance(made.value, ast.Call):
            made.value.args = made.value.args[1:]
        return [made, keeping(number, draw.name, node)]

    def _drawing_reads(self, draw: Draw) -> set[str] | None:
        """The names of plain values that a draw needs; None if the kernel can't make it ahead."""
        dependence = self._dependence
        others = (u for u in dependence.every_unit() if id(u.node) not in dependence.draws)
        if draw.owner in self._bound | dependence.targets or (
            draw.owner in self.generators
            and any(draw.owner in unit.header.touched() for unit in others)
        ):
            return None
        around = set() if draw.is_alone else self._around(draw)
        if around is None:
            return None
        own, read = draw.own, set(around)
        for node in (part for given in draw.given for part in self._parts(given)):
            taken = {id(n): name for n in walk(node) if (name := self._source(n, draw.given, own))}
            self.sources |= set(taken.values())
            values = copied(ast.Expr(node), dict.fromkeys(taken, ast.Constant(0)))
            inside = self._purity.reads(values.value)
            if inside is None:
                return None
            read |= inside - own
        return read

    def _parts(self, node: ast.expr) -> list[ast.expr]:
        """What makes a list, or a range, that is for the draw alone; or itself."""
        match node:
            case ast.List(elts=elements):
                return elements
            case ast.Call(func=ast.Name() as func, args=ends, keywords=[]):
                is_range = self._dependence.knowledge.resolve(func) is range
                return ends if is_range and func.id not in self._bound else [node]
        return [node]

    def _around(self, draw: Draw) -> set[str] | None:
        """The names of the plain values that are needed around the calls of a draw."""
        sizes = {id(n): name for n in walk(draw.node) if (name := self._source(n, [], draw.own))}
        self.sources |= set(sizes.values())
        known = dict.fromkeys({*map(id, draw.calls), *sizes}, ast.Constant(0))
        rest = copied(draw.node, known)
        if isinstance(rest, ast.Call):
            knowledge = self._dependence.knowledge
            return copied_from(rest.args[0], knowledge, self._purity, self._taken_from)
        return made_of(rest, self._purity, self._taken_from)

    def _taken_from(self, whole: ast.Name) -> str:
        """The name of what is iterated over, or copied."""
        name = self._source(whole, [whole], frozenset())
        self.sources |= {name} if name else set()
        return name

    def _source(self, node: ast.AST, given: list[ast.expr], own: frozenset[str]) -> str:
        """The name of what a draw takes from as a whole, or asks for its size.

        `given` are its arguments, `own` names that a series of draws binds for itself.
        """
        match node:
            case ast.Name(id=name) if node in given:  # in a list it may itself be what is taken
                pass
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]):
                pass
            case ast.Attribute(value=ast.Name(id=name), attr="shape" | "size"):
                pass
            case _:
                return ""
        dependence = self._dependence
        apart = own | self._bound | dependence.targets | dependence.whole.mutates.keys()
        apart |= dependence.allowances.local | dependence.allowances.private | self.rebound
        return "" if name in apart | dependence.knowledge.not_plain else name

    def _are_known(self, names: set[str]) -> bool:
        """Whether the kernel has the values of all names ahead of the work."""
        dependence = self._dependence
        apart = dependence.allowances.local | dependence.allowances.private
        constants = names - self._bound - dependence.targets - apart - self.rebound
        plain = {name for name in constants if _may_be_plain(dependence.knowledge, name)}
        items = dependence.items - dependence.knowledge.not_plain
        return names <= self._names | items | plain


def _binds_plainly(node: ast.stmt) -> bool:
    """Whether it binds plain names, and nothing else."""
    match node:
        case ast.Assign(targets=targets):
            return all(map(_is_plain, targets))
        case ast.AugAssign(target=target, op=operator):
            return isinstance(target, ast.Name) and not isinstance(operator, ast.MatMult)
        case ast.AnnAssign(target=ast.Name(), value=ast.expr()):
            return True
        case _:
            return False


def _is_plain(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_plain, target.elts))
    return isinstance(target, ast.Name)
