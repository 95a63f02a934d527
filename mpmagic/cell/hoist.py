"""Commits as the kernel runs them, with the operands that the worker can compute taken out.

In ``results.append(f(x))`` the worker computes ``f(x)`` and the kernel appends: the operand is
hoisted out of the commit. What a statement of a commit evaluates for sure is hoisted; what hangs on
the statements before it may be run ahead.
"""

from __future__ import annotations

import ast
import copy

from mpmagic.cell.operands import Operands, When
from mpmagic.cell.replay import is_given
from mpmagic.cell.rethrow import rethrown
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Unit, blocks_of
from mpmagic.cell.vocabulary import EVENTS

__all__ = ["Hoister"]


def _as_it_was_raised(node: ast.stmt) -> ast.stmt:
    """A statement of a ``try``, whose handlers are to see an exception as the work raised it."""
    if not any(is_given(part) for part in walk(node)):
        return node
    return ast.copy_location(rethrown(node, ast.Name(id=EVENTS, ctx=ast.Load())), node)


class Hoister(Operands):
    """Rewrites one commit for the kernel; see `Operands` for what it takes and collects."""

    def statement(self, node: ast.stmt, unit: Unit, when: When = When.SURE) -> ast.stmt:
        """The kernel's form of a commit, or of a statement of one; `unit` is what it was cut as."""
        if unit.guarded:
            when = When.NEVER
        match node:
            case ast.If():
                node.test = self._expr(node.test, when)
            case ast.While():
                # Evaluated again and again: only values may come from outside.
                node.test = self._expr(node.test, When.NEVER)
            case ast.For():
                node.iter = self._expr(node.iter, when)
            case ast.With():
                # Made where it's entered, however it may be made: no operand.
                for item in node.items:
                    item.context_expr = self._expr(item.context_expr, When.NEVER)
            case ast.Match():
                node.subject = self._expr(node.subject, when)
                for case in node.cases:
                    case.guard = case.guard and self._expr(case.guard, When.NEVER)
            case ast.Try() | ast.TryStar():
                pass
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return node  # made in the kernel, of the kernel's names
            case _:
                self._simple(node, when)
        inside = When.NEVER if isinstance(node, ast.For | ast.While) else max(when, When.MAYBE)
        for block, units in zip(blocks_of(node), unit.blocks, strict=True):
            block[:] = self._block(block, units, inside)
        if isinstance(node, ast.Try | ast.TryStar) and self.ahead is not None:
            node.body[:] = map(_as_it_was_raised, node.body)
        return node

    def _block(self, statements: list[ast.stmt], units: list[Unit], when: When) -> list[ast.stmt]:
        if self.ahead is None or when is When.NEVER:
            pairs = zip(statements, units, strict=True)
            return [self.statement(s, u, when) for s, u in pairs]
        changed: list[ast.stmt] = []
        with self.ahead.block():
            while units:
                run = self.ahead.leading(units)
                if run:
                    taken = self._given(self.ahead.statements(run), run[0].node)
                    changed.append(ast.copy_location(ast.Expr(value=taken), run[0].node))
                else:
                    changed.append(self.statement(statements[0], units[0], when))
                    self.ahead.forget(units[0])
                done = max(len(run), 1)
                statements, units = statements[done:], units[done:]
        return changed

    def _simple(self, node: ast.stmt, when: When) -> None:
        match node:
            case ast.Assign():
                node.value = self._expr(node.value, when)
                node.targets = [self._target(t, when) for t in node.targets]
            case ast.AugAssign():
                target = self._target(node.target, when)
                assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript)
                loaded = copy.copy(target)
                loaded.ctx = ast.Load()
                if not isinstance(loaded, ast.Name) or self._is_unbound(loaded):
                    self._before.append(loaded)
                node.target = target
                node.value = self._expr(node.value, when)
            case ast.AnnAssign(value=ast.expr() as value):
                node.value = self._expr(value, when)
                target = self._target(node.target, when)
                assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript)
                node.target = target
            case ast.Delete():
                node.targets = [self._target(t, when) for t in node.targets]
            case ast.Expr():
                node.value = self._expr(node.value, when)
            case ast.Assert():
                node.test = self._expr(node.test, when)
                node.msg = node.msg and self._expr(node.msg, max(when, When.MAYBE))
            case ast.Raise():
                if when is When.MAYBE:
                    when = When.NEVER  # an exception costs less than its way
                node.exc = node.exc and self._expr(node.exc, when)
                node.cause = node.cause and self._expr(node.cause, when)
            case _:
                pass

    def _target(self, node: ast.expr, when: When) -> ast.expr:
        match node:
            case ast.Attribute():
                node.value = self._place(node.value, when)
            case ast.Subscript():
                node.value = self._place(node.value, when)
                node.slice = self._expr(node.slice, when)
            case ast.Tuple() | ast.List():
                node.elts = [self._target(e, when) for e in node.elts]
            case ast.Starred():
                node.value = self._target(node.value, when)
            case _:
                pass
        return node

    def _place(self, node: ast.expr, when: When) -> ast.expr:
        """A part of the path to a store: the object has to be the kernel's own."""
        match node:
            case ast.Attribute():
                node.value = self._place(node.value, when)
                return node
            case ast.Subscript():
                node.value = self._place(node.value, when)
                node.slice = self._expr(node.slice, when)
                return node
            case ast.Name():
                return node
            case _:
                return self._descend(node, when)
