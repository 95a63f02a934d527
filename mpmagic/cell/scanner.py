"""What a statement reads, binds and mutates, found by visiting its nodes.

A compound statement is scanned with its blocks or, where these are units of their own, without
them. Statements that bind names which the source doesn't show (``import *``), or would do
something that a split loop wouldn't (a call in an annotation), are refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from mpmagic.cell import tables
from mpmagic.cell.collector import own_names, parameters_of, type_parameters_of
from mpmagic.cell.compiled import annotations_wait
from mpmagic.cell.counters import Entered, counted, lock_of
from mpmagic.cell.effects import Effects
from mpmagic.cell.expressions import MAIN, Expressions
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.paths import root_of, roots_of
from mpmagic.cell.processwide import made_by
from mpmagic.cell.syntax import brief, walk

__all__ = ["Scanner"]

# Of locks, which are entered but can't travel.
_SYNCHRONISING: Final = frozenset({"_thread", "threading", "multiprocessing.synchronize"})


class Scanner(Expressions):
    """Collects the effects of nodes that run in the cell's own scope.

    Parameters
    ----------
    knowledge
        What names stand for.
    summarise
        Gives the effects of calling a function or class of the notebook, by name or object;
        None for anything else.
    """

    def scan(self, nodes: Iterable[ast.AST]) -> Effects:
        """The effects of running `nodes` one after the other."""
        self._collector.begin()
        for node in nodes:
            self.visit(node)
        return self._collector.effects

    def scan_header(self, node: ast.stmt) -> Effects:
        """The effects of a compound statement without those of its blocks."""
        self._collector.begin()
        match node:
            case ast.If() | ast.While():
                self.visit(node.test)
            case ast.For():
                self.visit(node.iter)
                self._alias(node.target, node.iter, part=True)
                self.visit(node.target)
                self._collector.effects.substantial = True
            case ast.With():
                for item in node.items:
                    self.visit(item)
            case ast.Try() | ast.TryStar():
                for handler in node.handlers:
                    self._visit_handler(handler)
            case ast.Match():
                self._visit_match(node)
            case _:
                self.visit(node)
        return self._collector.effects

    def visit(self, node: ast.AST) -> None:
        """Visit a node by the method for its kind."""
        _VISITORS[type(node)](self, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._alias(target, node.value)
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._collector.effects.substantial = True
        if isinstance(node.target, ast.Name):
            self._collector.read(node.target.id, node.lineno)
            self._collector.bind(node.target.id, node.lineno)
            if not tables.is_immutable_type(self._knowledge.type_of(_loaded(node.target))):
                self._collector.mutate(node.target.id, node, shallow=True, augments=True)
        elif self._locks and (name := self._counter(node)):
            if isinstance(node.target, ast.Subscript):
                self.visit(node.target.slice)
            self._collector.count(name, frozenset(self._locks), node.lineno)
        else:
            self.visit(node.target)

    def _counter(self, node: ast.AugAssign) -> str:
        name = counted(node, self._knowledge)
        return "" if self._collector.owns(name) else name

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not (annotations_wait() and isinstance(node.target, ast.Name)):
            self._visit_evaluated(node)
        elif self._collector.is_inside:  # perhaps a class's, which is asked for it
            with self._collector.scope((), deferred=True):
                self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self._alias(node.target, node.value)
            self.visit(node.target)

    def _visit_evaluated(self, node: ast.AnnAssign) -> None:
        """An annotation that is evaluated where it stands."""
        self.visit(node.annotation)
        called = any(isinstance(n, ast.Call) for n in walk(node.annotation))
        if called and not self._collector.is_inside:
            reason = "its annotation calls something, which a split loop wouldn't"
            self._collector.refuse(node.lineno, brief(node.target), reason)

    def _visit_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._alias(node.target, node.iter, part=True)
        self.visit(node.target)
        self._collector.effects.substantial = True
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_For(self, node: ast.For) -> None:
        self._visit_for(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._refuse_await(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self._refuse_await(node)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item)
        refusals = self._collector.effects.refusals
        before = len(refusals)
        with self.holding(node):
            for statement in node.body:
                self.visit(statement)
        if self._collector.is_inside:  # of a function all runs in one process
            made = [i.context_expr for i in node.items]
            names = made_by(made, self._knowledge)
            refusals[before:] = [r for r in refusals[before:] if not r.taken_back_by & names]

    @contextmanager
    def holding(self, node: ast.stmt) -> Iterator[None]:
        """Visit the block of a ``with``, under the locks that the work enters there."""
        held = len(self._locks)
        if isinstance(node, ast.With):
            entered = filter(None, map(self._lock, node.items))
            self._locks += [lock.key for lock in entered if lock.is_exclusive]
        yield
        del self._locks[held:]

    def _lock(self, item: ast.withitem) -> Entered | None:
        """Identify the lock that the work may enter itself."""
        root = root_of(_owner(item))
        if not self._knowledge.counting or item.optional_vars or root is None:
            return None
        return None if self._collector.owns(root) else lock_of(item.context_expr, self._knowledge)

    def visit_withitem(self, node: ast.withitem) -> None:
        if (lock := self._lock(node)) is not None:
            self._collector.read(str(root_of(_owner(node))), node.context_expr.lineno)
            self._collector.effects.enters.add(lock.key)
            return
        self.visit(node.context_expr)
        if type(self._knowledge.resolve(node.context_expr)).__module__ in _SYNCHRONISING:
            self._collector.mutate(root_of(node.context_expr), node.context_expr)
        if node.optional_vars is not None:
            self._alias(node.optional_vars, node.context_expr, part=True)
            self.visit(node.optional_vars)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._visit_handler(node)
        for statement in node.body:
            self.visit(statement)

    def _visit_handler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name:
            self._collector.bind(node.name, node.lineno)

    def visit_Match(self, node: ast.Match) -> None:
        self._visit_match(node)
        for case in node.cases:
            for statement in case.body:
                self.visit(statement)

    def _visit_match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        roots = self._collector.outer(roots_of(node.subject, self._knowledge))
        for case in node.cases:
            for name in sorted(bound_names(case.pattern)):
                self._collector.bind(name, case.pattern.lineno)
                self._collector.effects.aliases.setdefault(name, set()).update(roots)
            self.visit(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.visit(target)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self._collector.effects.substantial = True
        if MAIN in {*(alias.name for alias in node.names), getattr(node, "module", "")}:
            self.refuse_hidden(node, MAIN)
        for alias in node.names:
            if alias.name == "*":
                reason = "`import *` binds names that the source doesn't show"
                self._collector.refuse(node.lineno, "*", reason)
            else:
                self._collector.bind(alias.asname or alias.name.partition(".")[0], node.lineno)

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_Global(self, node: ast.Global) -> None:
        """Nothing: at the cell's top level every name is global already."""

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._visit_call(node.value, statement=True)
        else:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._collector.effects.substantial = True
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._visit_defaults(node.args)
        self._collector.bind(node.name, node.lineno)
        with self._type_parameters(node):
            self._visit_annotations(node)
            locks, self._locks = self._locks, []  # called, it may hold others
            with self._collector.scope(own_names(node), deferred=True):
                for statement in node.body:
                    self.visit(statement)
            self._locks = locks

    def _visit_annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = (n for n in walk(node.args) if isinstance(n, ast.arg))
        later = self._collector.scope((), deferred=True)
        with later if annotations_wait() else nullcontext():
            for annotation in (*(a.annotation for a in arguments), node.returns):
                if annotation is not None:
                    self.visit(annotation)

    @contextmanager
    def _type_parameters(self, node: Any) -> Iterator[None]:
        """Visit a scope with the type parameters of a definition; they ask for bounds later."""
        names = type_parameters_of(node)
        with self._collector.scope(names) if names else nullcontext():
            with self._collector.scope((), deferred=True):
                for parameter in node.type_params if names else ():
                    self.generic_visit(parameter)
            yield

    def scan_function(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        closed: Set[str] = frozenset(),
    ) -> Effects:
        """The effects of calling a function; what it mutates of a parameter ``p`` under ``p()``.

        So it is with the variables of the function around it, that it's `closed` over.
        """
        self._collector.begin()
        given = parameters_of(node.args) | closed
        with self._collector.scope(own_names(node), parameters=given):
            body = [node.body] if isinstance(node, ast.Lambda) else node.body
            # Twice: what a name stands for may be learnt further down, in a loop.
            for statement in (*body, *body):
                self.visit(statement)
        return self._collector.effects

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._collector.effects.substantial = True
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._collector.bind(node.name, node.lineno)
        with self._type_parameters(node):
            for expression in (*node.bases, *node.keywords):
                self.visit(expression)
            own = {name for s in node.body for name in bound_names(s)}
            with self._collector.scope(own):
                for statement in node.body:
                    self.visit(statement)
        self._read_past(own, node.body)

    def _read_past(self, own: set[str], body: list[ast.stmt]) -> None:
        """Note a class's own names as read outside: before it binds them, and by its methods."""
        functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        for statement in body:
            inside = [n for n in walk(statement) if isinstance(n, functions)]
            with self._collector.scope((), deferred=True) if inside else nullcontext():
                for name in walk(statement):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load):
                        if name.id in own:
                            self._collector.read(name.id, name.lineno)

    def visit_TypeAlias(self, node: Any) -> None:
        """From Python 3.12 on: an alias asks for its value later, and is found by its name."""
        if not self._collector.is_inside:
            reason = "a type alias that an iteration makes can't come back; make it before the loop"
            self._collector.refuse(node.lineno, node.name.id, reason)
        self.visit(node.name)
        with self._type_parameters(node), self._collector.scope((), deferred=True):
            self.visit(node.value)


class _Visitors(dict[type, Callable[[Scanner, Any], None]]):
    """The methods that visit nodes, by their kinds."""

    def __missing__(self, kind: type) -> Callable[[Scanner, Any], None]:
        method = getattr(Scanner, f"visit_{kind.__name__}", Scanner.generic_visit)
        return self.setdefault(kind, method)


_VISITORS: Final = _Visitors()


def _owner(item: ast.withitem) -> ast.expr:
    """What a manager is, or is made by a method of."""
    context = item.context_expr
    return context.func if isinstance(context, ast.Call) else context


def _loaded(node: ast.Name) -> ast.Name:
    return ast.Name(id=node.id, ctx=ast.Load())
