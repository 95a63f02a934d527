"""Operands of commits that the worker can compute.

In ``results.append(f(x))`` the worker computes ``f(x)`` and the kernel appends: the operand is
hoisted out of the commit. Hoisting keeps Python's order of evaluation among operands, never
evaluates what the serial cell might not have (the right of ``and``, the branches of a conditional
expression, the body of a lambda), and leaves to the kernel what the kernel has already.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from typing import Final

from mpmagic.cell import tables
from mpmagic.cell.aliasing import may_alias
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.probe import Probe, is_repeatable, may_raise
from mpmagic.cell.split import DRAIN, REPLAY
from mpmagic.cell.syntax import copied, locate_new

__all__ = ["Hoister"]

_SHALLOW: Final = frozenset(
    {"dict", "list", "tuple", "set", "frozenset", "sorted", "max", "min", "next", "copy"}
)
_SHALLOW_METHODS: Final = frozenset({"get", "copy", "values", "items", "keys"})

# Made in the kernel because of what they hold on to.
_DISPLAYS: Final = (ast.Tuple, ast.List, ast.Dict, ast.Set)
# No values by themselves.
_NEVER_WHOLE: Final = (ast.Lambda, ast.Starred, ast.Slice, ast.FormattedValue)


class Hoister:
    """Rewrites one commit for the kernel, collecting the operands that the worker sends.

    Parameters
    ----------
    dependence
        The loop's stages.
    operand
        Makes the kernel's expression for the operand of a given index.
    fresh_only
        Whether nothing may be sent that the kernel may hold too, see `aliasing.mutates_deeply`.
    mirrored
        Whether the worker stores the value too: one list then has to be one on both sides.

    Attributes
    ----------
    operands
        The expressions that the worker evaluates, in order.
    probes
        What the kernel evaluates before operands that may raise or print.
    """

    def __init__(
        self,
        dependence: Dependence,
        operand: Callable[[int], ast.expr],
        *,
        fresh_only: bool,
        mirrored: bool = False,
    ) -> None:
        self.operands: list[ast.expr] = []
        self._dependence = dependence
        self._operand = operand
        self._private = dependence.private
        self.probes: list[Probe] = []
        # What the kernel has evaluated so far that may raise.
        self._before: list[ast.expr] = []
        self._probed: list[ast.expr] = []
        self._known: dict[str, int] = {}
        self._shadowed: list[set[str]] = []
        self._fresh_only = fresh_only
        self._displays = (ast.Tuple,) if mirrored else _DISPLAYS

    def statement(self, node: ast.stmt, *, guarded: bool = False) -> ast.stmt:
        """The kernel's form of a commit; `guarded` where it runs only if shared state says so."""
        match node:
            case ast.If():
                node.test = self._expr(node.test, guarded)
                self._block(node.body)
                self._block(node.orelse)
            case ast.While():
                # Evaluated again and again: only values may come from outside.
                node.test = self._expr(node.test, True)
                self._block(node.body)
                self._block(node.orelse)
            case ast.For():
                node.iter = self._expr(node.iter, guarded)
                self._block(node.body)
                self._block(node.orelse)
            case ast.With():
                # Made where it's entered, however it may be made: no operand.
                for item in node.items:
                    item.context_expr = self._expr(item.context_expr, True)
                self._block(node.body)
            case ast.Try() | ast.TryStar():
                for block in (node.body, node.orelse, node.finalbody):
                    self._block(block)
                for handler in node.handlers:
                    self._block(handler.body)
            case ast.Match():
                node.subject = self._expr(node.subject, guarded)
                for case in node.cases:
                    case.guard = case.guard and self._expr(case.guard, True)
                    self._block(case.body)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass  # made in the kernel, of the kernel's names
            case _:
                self._simple(node, guarded)
        return node

    def _block(self, statements: list[ast.stmt]) -> None:
        statements[:] = [self.statement(s, guarded=True) for s in statements]

    def _simple(self, node: ast.stmt, guarded: bool) -> None:
        match node:
            case ast.Assign():
                node.value = self._expr(node.value, guarded)
                node.targets = [self._target(t, guarded) for t in node.targets]
            case ast.AugAssign():
                target = self._target(node.target, guarded)
                assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript)
                loaded = copy.copy(target)
                loaded.ctx = ast.Load()
                if not isinstance(loaded, ast.Name) or self._is_unbound(loaded):
                    self._before.append(loaded)
                node.target = target
                node.value = self._expr(node.value, guarded)
            case ast.AnnAssign(value=ast.expr() as value):
                node.value = self._expr(value, guarded)
                target = self._target(node.target, guarded)
                assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript)
                node.target = target
            case ast.Delete():
                node.targets = [self._target(t, guarded) for t in node.targets]
            case ast.Expr():
                node.value = self._expr(node.value, guarded)
            case ast.Assert():
                node.test = self._expr(node.test, guarded)
                node.msg = node.msg and self._expr(node.msg, True)
            case ast.Raise():
                node.exc = node.exc and self._expr(node.exc, guarded)
                node.cause = node.cause and self._expr(node.cause, guarded)
            case _:
                pass

    def _target(self, node: ast.expr, guarded: bool) -> ast.expr:
        match node:
            case ast.Attribute():
                node.value = self._place(node.value, guarded)
            case ast.Subscript():
                node.value = self._place(node.value, guarded)
                node.slice = self._expr(node.slice, guarded)
            case ast.Tuple() | ast.List():
                node.elts = [self._target(e, guarded) for e in node.elts]
            case ast.Starred():
                node.value = self._target(node.value, guarded)
            case _:
                pass
        return node

    def _place(self, node: ast.expr, guarded: bool) -> ast.expr:
        """A part of the path to a store: the object has to be the kernel's own."""
        match node:
            case ast.Attribute():
                node.value = self._place(node.value, guarded)
                return node
            case ast.Subscript():
                node.value = self._place(node.value, guarded)
                node.slice = self._expr(node.slice, guarded)
                return node
            case ast.Name():
                return node
            case _:
                return self._descend(node, guarded)

    # -- expressions ---------------------------------------------------------------------------

    def _expr(self, node: ast.expr, guarded: bool) -> ast.expr:
        mark = len(self._before)
        left = self._rewritten(node, guarded)
        if may_raise(left) or self._is_unbound(left):
            self._before[mark:] = [left]
        return left

    def _is_unbound(self, node: ast.expr) -> bool:
        """Whether it is a name under which the kernel may find no value."""
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            return False
        dependence, name = self._dependence, node.id
        if name.startswith("."):
            return False  # the worker's own
        if any(name in scope for scope in self._shadowed):
            return False
        if name in dependence.deleted:
            return True
        return not (name in dependence.targets or dependence.knowledge.defined(name))

    def _rewritten(self, node: ast.expr, guarded: bool) -> ast.expr:
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            return self._send(node) if self._is_private(node.id) else node
        if self._touches_kernel(node) or isinstance(node, _NEVER_WHOLE):
            return self._descend(node, guarded)
        if isinstance(node, self._displays) or self._is_own_path(node):
            return self._descend(node, guarded)
        if isinstance(node, ast.Call) and (self._is_shallow(node) or self._stays(node)):
            return self._descend(node, guarded)
        if guarded or (self._fresh_only and may_alias(node, self._dependence)):
            return self._descend(node, guarded)
        if not all(map(is_repeatable, self._before)):
            return self._descend(node, True)
        return self._send(node)

    def _is_private(self, name: str) -> bool:
        return name in self._private and not any(name in scope for scope in self._shadowed)

    def _touches_kernel(self, node: ast.expr) -> bool:
        dependence = self._dependence
        effects = dependence.scanner.scan([node])
        inner = set().union(*self._shadowed) if self._shadowed else set()
        return bool(
            effects.kernel_only
            or effects.touched() & (dependence.kernel.keys() | inner)
            or effects.binds
        )

    def _is_own_path(self, node: ast.expr) -> bool:
        """Whether this is a path from a name that the kernel has the object of."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        return isinstance(node, ast.Name) and not self._is_private(node.id)

    def _stays(self, node: ast.Call) -> bool:
        """Whether a worker couldn't send what a call makes."""
        func = node.func
        opens = isinstance(func, ast.Attribute) and func.attr == "open"
        return opens or tables.makes_what_stays(self._dependence.knowledge.resolve(func))

    def _is_shallow(self, node: ast.Call) -> bool:
        """Whether a call hands out parts of what the kernel holds, and does little else.

        A worker would make copies of those parts, and a change of the one no longer be seen in
        the other.
        """
        func, parts = node.func, list(node.args)
        if isinstance(func, ast.Attribute):
            if func.attr not in _SHALLOW_METHODS:
                return False
            parts.append(func.value)
        elif not (isinstance(func, ast.Name) and func.id in _SHALLOW):
            return False
        paths = [p for p in parts if self._is_own_path(p)]
        return bool(paths) and any(may_alias(path, self._dependence) for path in paths)

    def _descend(self, node: ast.expr, guarded: bool) -> ast.expr:
        """Hoist from the parts of an expression that the kernel evaluates itself."""
        match node:
            case ast.BoolOp():
                node.values = [self._expr(v, guarded or i > 0) for i, v in enumerate(node.values)]
            case ast.IfExp():
                node.test = self._expr(node.test, guarded)
                node.body = self._expr(node.body, True)
                node.orelse = self._expr(node.orelse, True)
            case ast.Compare():
                node.left = self._expr(node.left, guarded)
                node.comparators = [
                    self._expr(c, guarded or i > 0) for i, c in enumerate(node.comparators)
                ]
            case ast.Lambda():
                node.args.defaults = [self._expr(d, guarded) for d in node.args.defaults]
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node, guarded)
            case ast.Dict():
                for i, value in enumerate(node.values):
                    key = node.keys[i]
                    node.keys[i] = key and self._expr(key, guarded)
                    node.values[i] = self._expr(value, guarded)
            case ast.Call():
                node.func = self._expr_of_callee(node.func, guarded)
                node.args = [self._argument(a, guarded) for a in node.args]
                for keyword in node.keywords:
                    keyword.value = self._expr(keyword.value, guarded)
            case ast.Attribute():
                node.value = self._expr(node.value, guarded)
            case ast.FormattedValue():
                node.value = self._expr(node.value, guarded)
                if node.format_spec is not None:
                    self._descend(node.format_spec, guarded)
            case _:
                self._children(node, guarded)
        return node

    def _argument(self, node: ast.expr, guarded: bool) -> ast.expr:
        ordered = all(map(is_repeatable, self._before))
        if not isinstance(node, ast.GeneratorExp) or guarded or self._touches_kernel(node):
            return self._expr(node, guarded)
        if not ordered:
            return self._expr(node, True)
        # What it yields before it raises, the callee has got by then.
        drained = ast.Call(func=ast.Name(id=DRAIN, ctx=ast.Load()), args=[node], keywords=[])
        locate_new(ast.copy_location(drained, node), node.lineno)
        sent = self._send(drained)
        replay = ast.Call(func=ast.Name(id=REPLAY, ctx=ast.Load()), args=[sent], keywords=[])
        return ast.copy_location(replay, node)

    def _expr_of_callee(self, node: ast.expr, guarded: bool) -> ast.expr:
        if isinstance(node, ast.Attribute):
            mark = len(self._before)
            node.value = self._expr(node.value, guarded)
            if not isinstance(node.value, ast.Name):
                self._before[mark:] = [node]
            return node
        return self._expr(node, guarded)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, guarded: bool
    ) -> None:
        first = node.generators[0]
        first.iter = self._expr(first.iter, guarded)
        own = {name for g in node.generators for name in bound_names(g.target)}
        self._shadowed.append(own)
        for i, generator in enumerate(node.generators):
            if i:
                generator.iter = self._expr(generator.iter, True)
            generator.ifs = [self._expr(test, True) for test in generator.ifs]
        if isinstance(node, ast.DictComp):
            node.key = self._expr(node.key, True)
            node.value = self._expr(node.value, True)
        else:
            node.elt = self._expr(node.elt, True)
        self._shadowed.pop()

    def _children(self, node: ast.AST, guarded: bool) -> None:
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self._expr(value, guarded))
            elif isinstance(value, list):
                value[:] = [self._expr(v, guarded) if isinstance(v, ast.expr) else v for v in value]

    def _send(self, node: ast.expr) -> ast.expr:
        # A name's object is the same wherever the statement reads it.
        key = ast.dump(node) if isinstance(node, ast.Name) else ""
        index = self._known.get(key, len(self.operands))
        if index == len(self.operands):
            if not isinstance(node, ast.Name):
                self._note_probe(index)
            self.operands.append(node)
            if key:
                self._known[key] = index
        return ast.copy_location(self._operand(index), node)

    def _note_probe(self, index: int) -> None:
        """What the kernel evaluates before an operand has to be tried before it."""
        new = [part for part in self._before if part not in self._probed]
        if new:
            self.probes.append(Probe([copied(part) for part in new], index))
            self._probed += new
