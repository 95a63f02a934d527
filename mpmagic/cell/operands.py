"""Operands inside an expression of a commit: which parts the worker computes.

Hoisting keeps Python's order of evaluation among operands, never evaluates what the serial cell
might not have (the right of ``and``, the branches of a conditional expression, the body of a
lambda), and leaves to the kernel what the kernel has already. With ``--ahead`` what perhaps isn't
evaluated is a piece of `speculation`.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable
from typing import Any, Final

from mpmagic.cell import tables
from mpmagic.cell.aliasing import hands_out, may_alias
from mpmagic.cell.comprehension import exhausts
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.probe import Probe, is_repeatable, may_raise
from mpmagic.cell.replay import given
from mpmagic.cell.site import Piece
from mpmagic.cell.speculation import Sent, Speculation
from mpmagic.cell.syntax import INTERPOLATIONS, TEMPLATES, copied, locate_new
from mpmagic.cell.vocabulary import DRAIN, REPLAY

__all__ = ["Operands", "When"]

# Made in the kernel because of what they hold on to.
_DISPLAYS: Final = (ast.Tuple, ast.List, ast.Dict, ast.Set, *TEMPLATES)
_LAZY: Final = (zip, map, filter, enumerate, reversed)
# No values by themselves.
_NEVER_WHOLE: Final = (
    ast.Lambda,
    ast.GeneratorExp,
    ast.Starred,
    ast.Slice,
    ast.FormattedValue,
    *INTERPOLATIONS,
)


class When(enum.IntEnum):
    """When the kernel evaluates a part of a commit."""

    SURE = 0
    """Once, whenever the commit runs."""

    MAYBE = 1
    """Once at most: it may be passed over."""

    NEVER = 2
    """Perhaps many times, or where no value can stand for it."""


class Operands:
    """Rewrites expressions of one commit for the kernel, collecting what the worker sends.

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
    ahead
        Takes what is run ahead; None where nothing may be.

    Attributes
    ----------
    operands
        The expressions that the worker evaluates, in order.
    shown
        The same as they stand in the source.
    pieces
        What the kernel does with those that are outcomes.
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
        ahead: Speculation | None = None,
    ) -> None:
        self.operands: list[ast.expr] = []
        self.shown: list[ast.expr] = []
        self.pieces: dict[int, Piece] = {}
        self.ahead = ahead
        self._dependence = dependence
        self._operand = operand
        self._private = dependence.private
        self._resolve = dependence.knowledge.resolve
        self.probes: list[Probe] = []
        # What the kernel has evaluated so far that may raise.
        self._before: list[ast.expr] = []
        self._probed: list[ast.expr] = []
        self._known: dict[str, int] = {}
        self._shadowed: list[set[str]] = []
        self._fresh_only = fresh_only
        self._taken_apart = (*_NEVER_WHOLE, *((ast.Tuple,) if mirrored else _DISPLAYS))

    def _expr(self, node: ast.expr, when: When) -> ast.expr:
        mark = len(self._before)
        left = self._rewritten(node, when)
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
        if name in dependence.prepared.drawn:
            return False
        return not (name in dependence.targets or dependence.knowledge.defined(name))

    def _rewritten(self, node: ast.expr, when: When) -> ast.expr:
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            return self._send(node) if self._is_workers(node.id) else node
        if isinstance(node, self._taken_apart) or self._is_own_path(node):
            return self._descend(node, when)
        if isinstance(node, ast.Call) and (self._is_shallow(node) or self._stays(node)):
            return self._descend(node, when)
        perhaps = when is When.MAYBE and self.ahead is not None
        touching = self._touches_kernel(node)  # asked last, for it takes a walk
        if touching and not perhaps:
            return self._descend(node, when)
        if self.ahead is not None and perhaps and self.ahead.takes(node):
            return self._given(self.ahead.expression(node), node)
        if when or touching or (self._fresh_only and may_alias(node, self._dependence)):
            return self._descend(node, when)
        if not all(map(is_repeatable, self._before)):
            return self._rewritten(node, When.MAYBE)
        return self._send(node)

    def _given(self, sent: Sent, at: ast.AST) -> ast.expr:
        """What the kernel takes in the place of something that was run ahead."""
        index = len(self.operands)
        self.operands.append(sent.outcome)
        self.shown.append(sent.shown)
        self.pieces[index] = sent.piece
        return ast.copy_location(given(index), at)

    def _is_workers(self, name: str) -> bool:
        """Whether a value has to come from the worker, with what a comprehension draws."""
        dependence = self._dependence
        drawn = dependence.element is not None and name in dependence.prepared.drawn
        return drawn or self._is_private(name)

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
        if not hands_out(node):
            return False
        parts = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        paths = [p for p in parts if self._is_own_path(p)]
        return bool(paths) and any(may_alias(path, self._dependence) for path in paths)

    def _descend(self, node: ast.expr, when: When) -> ast.expr:
        """Hoist from the parts of an expression that the kernel evaluates itself."""
        match node:
            case ast.BoolOp():
                later = max(when, When.MAYBE)
                node.values = [
                    self._expr(v, later if i else when) for i, v in enumerate(node.values)
                ]
            case ast.IfExp():
                node.test = self._expr(node.test, when)
                node.body = self._expr(node.body, max(when, When.MAYBE))
                node.orelse = self._expr(node.orelse, max(when, When.MAYBE))
            case ast.Compare():
                later = max(when, When.MAYBE)
                node.left = self._expr(node.left, when)
                node.comparators = [
                    self._expr(c, later if i else when) for i, c in enumerate(node.comparators)
                ]
            case ast.Lambda():
                node.args.defaults = [self._expr(d, when) for d in node.args.defaults]
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node, when)
            case ast.Dict():
                for i, value in enumerate(node.values):
                    key = node.keys[i]
                    node.keys[i] = key and self._expr(key, when)
                    node.values[i] = self._expr(value, when)
            case ast.Call():
                node.func = self._expr_of_callee(node.func, when)
                first = self._argument if exhausts(node, self._resolve) else self._expr
                node.args = [(self._expr if i else first)(a, when) for i, a in enumerate(node.args)]
                for keyword in node.keywords:
                    keyword.value = self._expr(keyword.value, when)
            case ast.Attribute():
                node.value = self._expr(node.value, when)
            case ast.FormattedValue():
                self._field(node, when)
            case _ if isinstance(node, INTERPOLATIONS):
                self._field(node, when)
            case _:
                self._children(node, when)
        return node

    def _field(self, node: Any, when: When) -> None:
        """Hoist from a replacement field, which is no value by itself."""
        node.value = self._expr(node.value, when)
        if node.format_spec is not None:
            self._descend(node.format_spec, when)

    def _argument(self, node: ast.expr, when: When) -> ast.expr:
        if when is When.NEVER or not (isinstance(node, ast.GeneratorExp) or self._is_lazy(node)):
            return self._expr(node, when)
        if when is When.SURE and not all(map(is_repeatable, self._before)):
            when = When.MAYBE
        # What it yields before it raises, the callee has got by then.
        drained = ast.Call(func=ast.Name(id=DRAIN, ctx=ast.Load()), args=[node], keywords=[])
        locate_new(ast.copy_location(drained, node), node.lineno)
        if when is When.SURE and not self._touches_kernel(node):
            sent = self._send(drained)
        elif when is When.MAYBE and self.ahead is not None and self.ahead.takes(drained):
            sent = self._given(self.ahead.expression(drained), node)
        else:
            return self._expr(node, when)
        replay = ast.Call(func=ast.Name(id=REPLAY, ctx=ast.Load()), args=[sent], keywords=[])
        return ast.copy_location(replay, node)

    def _is_lazy(self, node: ast.expr) -> bool:
        """Whether it's an iterator of a builtin's over others, which may not travel."""
        return isinstance(node, ast.Call) and any(
            self._resolve(node.func) is kind for kind in _LAZY
        )

    def _expr_of_callee(self, node: ast.expr, when: When) -> ast.expr:
        if isinstance(node, ast.Attribute):
            mark = len(self._before)
            node.value = self._expr(node.value, when)
            if not isinstance(node.value, ast.Name):
                self._before[mark:] = [node]
            return node
        return self._expr(node, when)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, when: When
    ) -> None:
        first = node.generators[0]
        first.iter = self._expr(first.iter, when)
        own = {name for g in node.generators for name in bound_names(g.target)}
        self._shadowed.append(own)
        for i, generator in enumerate(node.generators):
            if i:
                generator.iter = self._expr(generator.iter, When.NEVER)
            generator.ifs = [self._expr(test, When.NEVER) for test in generator.ifs]
        if isinstance(node, ast.DictComp):
            node.key = self._expr(node.key, When.NEVER)
            node.value = self._expr(node.value, When.NEVER)
        else:
            node.elt = self._expr(node.elt, When.NEVER)
        self._shadowed.pop()

    def _children(self, node: ast.AST, when: When) -> None:
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self._expr(value, when))
            elif isinstance(value, list):
                value[:] = [self._expr(v, when) if isinstance(v, ast.expr) else v for v in value]

    def _send(self, node: ast.expr) -> ast.expr:
        # A name's object is the same wherever the statement reads it.
        key = node.id if isinstance(node, ast.Name) else ""
        index = self._known.get(key, len(self.operands))
        if index == len(self.operands):
            if not isinstance(node, ast.Name):
                self._note_probe(index)
            self.operands.append(node)
            self.shown.append(node)
            if key:
                self._known[key] = index
        return ast.copy_location(self._operand(index), node)

    def _note_probe(self, index: int) -> None:
        """What the kernel evaluates before an operand has to be tried before it."""
        new = [part for part in self._before if part not in self._probed]
        if new:
            self.probes.append(Probe([copied(part) for part in new], index))
            self._probed += new
