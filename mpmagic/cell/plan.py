"""A cell's plan: which of its loops are split, and the code that runs in the kernel.

The plan is a pure function of the cell's source, the namespace and what the user allows. Nothing
runs to make it. Each loop is planned twice: here, with what is known before the cell runs, to
refuse before anything ran; and again when it is reached, with what the names then stand for.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from mpmagic.cell.advice import AHEAD
from mpmagic.cell.comprehension import (
    Comprehension,
    as_loop,
    ending_early,
    outermost,
)
from mpmagic.cell.constants import method_call, placeholder
from mpmagic.cell.dependence import Allowances, Unsplittable
from mpmagic.cell.disguise import (
    SplitGenerator,
    disguises,
    mappings,
    may_be_disguised,
)
from mpmagic.cell.effects import Refusal
from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.rethrow import rethrown
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.splitting import split_loop
from mpmagic.cell.syntax import copied, iterating, locate_new, set_blocks, walk
from mpmagic.cell.task import Task
from mpmagic.cell.taskgraph import TaskGroup, plan_tasks
from mpmagic.cell.unit import Unit, blocks_of
from mpmagic.cell.vocabulary import ITEM

_Node = TypeVar("_Node", bound=ast.AST)

# Statements around a loop that see the traceback of what it raises.
_WATCHING = (ast.Try, ast.TryStar, ast.With)

__all__ = ["CellPlan", "PlannedLoop", "RefusedLoop", "plan_cell"]


@dataclass(slots=True)
class PlannedLoop:
    """A loop that the plan splits.

    Attributes
    ----------
    number
        Its place among the cell's loops.
    loop
        The loop as a statement; a comprehension written as one.
    element
        Of a comprehension, the statement that stands for its element.
    split
        Its halves as far as they were known before the cell ran.
    units
        The body's units with their stages.
    lazy
        Whether it is a generator: what takes its elements may change meanwhile what it reads.
    at_once
        Whether its elements are asked for as soon as it's there, and nothing runs before.
    """

    number: int
    loop: ast.For
    element: ast.stmt | None
    split: SplitLoop
    units: list[Unit]
    lazy: bool = False
    at_once: bool = True


class RefusedLoop(NamedTuple):
    """A loop that stays in the kernel, and why."""

    line: int
    refusal: Refusal
    advice: str
    units: tuple[Unit, ...] = ()


@dataclass(slots=True)
class CellPlan:
    """What becomes of a cell.

    Attributes
    ----------
    tree
        The kernel's half of the cell, with placeholders for the loops.
    loops
        The loops that are split.
    refused
        Those that stay in the kernel as they are.
    groups
        Of a cell without a loop, the calls that run side by side.
    kept
        Of a cell without a loop, the calls that stay in the kernel.
    """

    tree: ast.Module
    loops: list[PlannedLoop] = field(default_factory=list)
    refused: list[RefusedLoop] = field(default_factory=list)
    groups: list[TaskGroup] = field(default_factory=list)
    kept: list[Task] = field(default_factory=list)


def plan_cell(
    tree: ast.Module, namespace: dict[str, Any], allowances: Allowances, filename: str
) -> CellPlan:
    """Plan a cell.

    Parameters
    ----------
    tree
        The cell's syntax tree; left as it is.
    namespace
        The user's namespace.
    allowances
        What the user allows.
    filename
        The name under which the cell's code is compiled.
    """
    planner = _Planner(Knowledge(namespace, apart=allowances.apart), allowances, filename)
    body = planner.block(tree.body)
    plan = planner.plan
    if not plan.loops and not plan.refused:
        knowledge = Knowledge(namespace, apart=allowances.apart)
        tasks = plan_tasks(tree.body, knowledge, allowances)
        body, plan.groups, plan.kept = tasks.body, tasks.groups, tasks.kept
    if not plan.loops and not plan.groups:
        plan.refused += planner.ending_early + planner.in_disguise
    plan.tree = ast.Module(body=body, type_ignores=tree.type_ignores)
    return plan


class _Planner:
    """Walks through the cell's top-level code in order."""

    def __init__(self, knowledge: Knowledge, allowances: Allowances, filename: str) -> None:
        self.plan = CellPlan(ast.Module(body=[], type_ignores=[]))
        self._knowledge = knowledge
        self._allowances = allowances
        self._filename = filename
        self._numbers = 0
        # How many statements around the present one can see the traceback of its exceptions.
        self._watching = 0
        # Generators that only `--ahead` would make loops of.
        self.ending_early: list[RefusedLoop] = []
        # Calls that are loops, and can't be split.
        self.in_disguise: list[RefusedLoop] = []

    def block(self, statements: Iterable[ast.stmt]) -> list[ast.stmt]:
        """The kernel's form of statements that run one after the other."""
        changed = []
        for statement in statements:
            changed.append(self._statement(statement))
            self._knowledge.note_statement(statement)
        return changed

    def _statement(self, node: ast.stmt) -> ast.stmt:
        if isinstance(node, ast.For):
            return self._loop(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.AsyncFor):
            return node
        return self._inside(node)

    def _inside(self, node: ast.stmt) -> ast.stmt:
        """A statement that stays, with the loops inside it split."""
        blocks = blocks_of(node)
        if isinstance(node, ast.While | ast.For):
            for name in bound_names(node):  # what a later round finds
                self._knowledge.hide(name)
        node = copy.copy(node)
        inner = {id(statement) for block in blocks for statement in block}
        first = self._numbers
        self._expressions(node, inner)
        own = self._numbers > first
        if blocks:
            watches = isinstance(node, _WATCHING)
            self._watching += watches
            set_blocks(node, [self.block(block) for block in blocks])
            self._watching -= watches
        return self._tidied(node, first) if own else node

    def _tidied(self, node: ast.stmt, number: int) -> ast.stmt:
        """A statement with a loop, whose exceptions reach handlers without our frames."""
        if not self._watching:
            return node
        return _located(rethrown(node, ast.Constant(placeholder(number))), node)

    def _loop(self, node: ast.For) -> ast.stmt:
        refused = len(self.plan.refused)
        try:
            planned = self._plan(node, None)
        except Unsplittable as reason:
            self._refuse(node.lineno, reason)
            before = len(self.plan.loops)
            inside = self._inside(node)
            # The reason why an inner loop stays matters only where it could have been split.
            if len(self.plan.loops) == before:
                del self.plan.refused[refused + 1 :]
            return inside
        number = planned.number
        done = ast.If(
            test=_located(method_call(number, "run"), iterating(node)),
            body=node.orelse or [ast.Pass()],
            orelse=[],
        )
        serial = copy.copy(node)
        serial.iter = method_call(number, "items")
        locate_new(serial.iter, node.lineno)
        begin = _located(method_call(number, "begin", node.iter), iterating(node))
        choice = _located(ast.If(test=begin, body=[done], orelse=[]), node)
        choice.orelse = [serial]  # which has its place but for what it iterates over
        return self._tidied(choice, number)

    def _plan(self, loop: ast.For, element: ast.stmt | None) -> PlannedLoop:
        dependence, split, _ = split_loop(
            loop, self._knowledge, self._allowances, self._filename, element=element
        )
        planned = PlannedLoop(self._numbers, loop, element, split, dependence.units)
        self._numbers += 1
        self.plan.loops.append(planned)
        return planned

    def _refuse(self, line: int, reason: Unsplittable) -> None:
        refused = RefusedLoop(line, reason.refusal, reason.advice, tuple(reason.units))
        self.plan.refused.append(refused)

    # -- comprehensions ------------------------------------------------------------------------

    def _expressions(self, node: ast.AST, leave: set[int]) -> None:
        """Split the comprehensions in a node's own expressions, in place of a shallow copy."""
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self._expression(value))
            elif isinstance(value, list):
                setattr(node, name, [self._part(v, leave) for v in value])

    def _part(self, value: Any, leave: set[int]) -> Any:
        if isinstance(value, ast.expr):
            return self._expression(value)
        if isinstance(value, ast.withitem):
            value = copy.copy(value)
            value.context_expr = self._expression(value.context_expr)
        return value

    def _refuse_early_ends(self, node: ast.expr, shadowed: set[str]) -> None:
        """Generators of which perhaps not all elements are asked for."""
        for call, name in ending_early(node, shadowed):
            reason = "it may end before all elements are computed"
            refusal = Refusal(call.lineno, name, reason)
            self.ending_early.append(RefusedLoop(call.lineno, refusal, AHEAD))

    def _expression(self, node: ast.expr) -> ast.expr:
        nodes = walk(node)
        if not any(isinstance(n, Comprehension) for n in nodes):
            return self._undisguised(node, nodes, {})
        shadowed = {
            n.id
            for n in nodes
            if isinstance(n, ast.Name)
            and (self._knowledge.is_hidden(n.id) or n.id in self._knowledge.namespace)
        } - {"Counter", "deque"}
        ahead, resolve = self._allowances.ahead, self._knowledge.resolve
        found = list(outermost(node, ahead=ahead, shadowed=shadowed, resolve=resolve))
        if not self._allowances.ahead:
            self._refuse_early_ends(node, shadowed)
        later = _asked_later(nodes)
        replaced: dict[int, ast.AST] = {
            id(c): new
            for c in found
            if (new := self._comprehension(c, at_once=id(c) not in later)) is not None
        }
        return self._undisguised(node, nodes, replaced)

    def _undisguised(
        self, node: ast.expr, nodes: list[ast.AST], replaced: dict[int, ast.AST]
    ) -> ast.expr:
        """The expression with what was replaced in it, and with calls that are loops split."""
        if not any(map(may_be_disguised, nodes)):
            return _with(node, replaced)
        refused = len(self.plan.refused)
        for mapping in mappings(node, self._knowledge):
            if any(id(part) in replaced for part in walk(mapping.call)):
                continue  # what it goes over is split itself
            number = self._numbers
            if (loop := self._generator(mapping.generator)) is not None:
                replaced[id(mapping.call)] = _located(mapping.split(number, loop), mapping.call)
        for found in disguises(node, self._knowledge):
            number = self._numbers
            if (loop := self._generator(found.generator(number))) is not None:
                new = found.split(number, _with(found.receiver, replaced), loop)
                replaced[id(found.call)] = _located(new, found.call)
        # Nobody asked for them: they are told where there is nothing else.
        self.in_disguise += map(_in_plain_words, self.plan.refused[refused:])
        del self.plan.refused[refused:]
        return _with(node, replaced)

    def _comprehension(self, node: Comprehension, *, at_once: bool) -> ast.expr | None:
        number = self._numbers
        if (loop := self._generator(node, at_once=at_once)) is None:
            return None
        serial = copied(node, {id(node.generators[0].iter): method_call(number, "items")})
        return _located(ast.IfExp(loop.begins, loop.results, serial), node)

    def _generator(self, node: Comprehension, *, at_once: bool = False) -> SplitGenerator | None:
        """What the kernel does of a comprehension; None if it isn't split."""
        loop, element = as_loop(node)
        try:
            if any(generator.is_async for generator in node.generators):
                raise Unsplittable(Refusal(node.lineno, "async", "`async for` can't be split"))
            _, split, collected = split_loop(
                loop, self._knowledge, self._allowances, self._filename, element=element
            )
        except Unsplittable as reason:
            self._refuse(node.lineno, reason)
            return None
        lazy = isinstance(node, ast.GeneratorExp)
        planned = PlannedLoop(self._numbers, loop, element, split, [], lazy, at_once)
        self._numbers += 1
        self.plan.loops.append(planned)
        number = planned.number
        first = node.generators[0]
        assert collected is not None
        kernel = collected.comprehension(node, ast.Constant(placeholder(number)))
        begins = ast.copy_location(method_call(number, "begin", first.iter), first.iter)
        return SplitGenerator(begins, kernel)


def _asked_later(nodes: Iterable[ast.AST]) -> set[int]:
    """Generators behind which other arguments are evaluated before anything is asked of them."""
    generators, at_once = set[int](), set[int]()
    for node in nodes:
        if isinstance(node, ast.GeneratorExp):
            generators.add(id(node))
        elif isinstance(node, ast.Call):
            others = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
            if node.args and all(isinstance(each, ast.Constant | ast.Lambda) for each in others):
                at_once.add(id(node.args[0]))
    return generators - at_once


def _in_plain_words(refused: RefusedLoop) -> RefusedLoop:
    """Without the name that a loop's variable has where the cell shows no loop."""
    if not refused.refusal.name.startswith(ITEM):
        return refused
    refusal = Refusal(refused.line, "", "the function changes what it is called with")
    return RefusedLoop(refused.line, refusal, "let it change a copy, and return that")


def _with(node: ast.expr, replaced: dict[int, ast.AST]) -> ast.expr:
    new = replaced.get(id(node)) or (copied(node, replaced) if replaced else node)
    assert isinstance(new, ast.expr)
    return new


def _located(node: _Node, at: ast.AST) -> _Node:
    """Give `node` and all new nodes in it the place of `at`."""
    ast.copy_location(node, at)
    locate_new(node, at.lineno)  # type: ignore[attr-defined]
    return node
