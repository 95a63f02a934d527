"""What an expression reads, binds and mutates.

Every name is noted where it stands; a store counts for the names that its place starts from; what
a call does is asked of `Calls`. ``is`` belongs to the kernel: a worker has copies. What suspends
the cell (``await``, ``yield``) can't be split.
"""

from __future__ import annotations

import ast
import enum
import types
from collections.abc import Callable
from typing import Any, Final

from mpmagic.cell.calls import Calls
from mpmagic.cell.collector import Collector, parameters_of
from mpmagic.cell.counters import is_shared, is_shared_array
from mpmagic.cell.effects import FunctionSummary
from mpmagic.cell.figures import Touch
from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.paths import is_paired, root_of, roots_of
from mpmagic.cell.syntax import brief, children, walk

__all__ = ["MAIN", "Expressions"]

_DYNAMIC: Final = frozenset({"globals", "locals", "vars", "exec", "eval", "get_ipython"})
_NAMESPACES: Final = frozenset({"f_globals", "f_locals", "__globals__"})
_OF_GENERATORS: Final = frozenset({"gi_frame", "cr_frame", "ag_frame"})
MAIN: Final = "__main__"
"""The module in which the notebook's names are, the workers' own one there."""


class Expressions(ast.NodeVisitor):
    """Notes the effects of expressions as it visits them.

    Parameters
    ----------
    knowledge
        What names stand for.
    summarise
        Gives the effects of calling a function or class of the notebook, by name or object;
        None for anything else.
    """

    def __init__(
        self, knowledge: Knowledge, summarise: Callable[[Any], FunctionSummary | None]
    ) -> None:
        self._collector = Collector(knowledge, summarise)
        self._calls = Calls(self._collector)
        self._knowledge = knowledge
        self._locks: list[int] = []  # that are held where a node stands

    @property
    def touches(self) -> dict[ast.Call, Touch]:
        """What the calls that were visited do to pyplot's figures."""
        return self._calls.touches

    def generic_visit(self, node: ast.AST) -> None:
        """Visit what is inside a node of which no more is known."""
        for child in children(node):
            self.visit(child)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Nothing but for the notebook's own module: it may be looked up by its name."""
        if isinstance(node.value, str) and node.value == MAIN:
            self.refuse_hidden(node, MAIN)

    def refuse_hidden(self, node: ast.expr | ast.stmt, name: str) -> None:
        """Refuse what reaches the notebook's names by another way than by naming them."""
        reason = f"`{name}` reaches names that the source doesn't show"
        self._collector.refuse(node.lineno, name, reason)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._collector.read(node.id, node.lineno)
            if not self._collector.owns(node.id) and is_shared(self._knowledge.value(node.id)):
                self._collector.effects.looks.add(node.id)
            if node.id in _DYNAMIC and self._collector.is_builtin(node.id):
                if node.id == "get_ipython":  # it isn't seen where a magic stands
                    reason = "a magic, and in a terminal `!command`, can't stand in a loop"
                    self._collector.refuse(node.lineno, node.id, reason)
                else:
                    self.refuse_hidden(node, node.id)
        else:
            if isinstance(node.ctx, ast.Del):
                self._collector.read(node.id, node.lineno)
            self._collector.bind(node.id, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        if node.attr in _NAMESPACES and not _is_of_own_frame(node):
            self.refuse_hidden(node, node.attr)
        if not isinstance(node.ctx, ast.Load):
            self._store_into(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        self.visit(node.slice)
        if not isinstance(node.ctx, ast.Load):
            self._store_into(node)
        else:
            self._collector.effects.substantial = True

    def _store_into(self, node: ast.expr) -> None:
        root = root_of(node)
        if root is not None and is_shared_array(self._knowledge.value(root)):
            if not self._collector.owns(root):
                return  # the work stores into it itself: that is what such an array is for
        if root is not None:
            assert isinstance(node, ast.Attribute | ast.Subscript)
            self._collector.mutate(root, node, shallow=isinstance(node.value, ast.Name))
            return
        for name in sorted(roots_of(node)):
            self._collector.mutate(name, node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._alias(node.target, node.value)
        self._collector.bind(node.target.id, node.lineno)

    def _alias(self, target: ast.expr, value: ast.expr, *, part: bool = False) -> None:
        if not part and is_paired(target, value):
            assert isinstance(target, ast.Tuple | ast.List)
            assert isinstance(value, ast.Tuple | ast.List)
            for inner, its_value in zip(target.elts, value.elts, strict=True):
                self._alias(inner, its_value)
            return
        self._collector.alias(target, value, part=part)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._collector.effects.substantial = True
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self._collector.effects.substantial = True
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._collector.effects.substantial = True
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self._collector.effects.substantial = True
        sides = (node.left, *node.comparators)
        for side in sides:
            if not (isinstance(side, ast.Constant) and side.value == MAIN):  # `__name__ == ...`
                self.visit(side)
        if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops) and not any(
            self._is_singleton(side) for side in sides
        ):
            self._collector.effects.kernel_only[node.lineno] = (
                f"`{brief(node)}`: a worker has copies, which are never the same object"
            )

    def _is_singleton(self, node: ast.expr) -> bool:
        """Whether it stays the same object on its way to a worker."""
        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id == "type"
        value = self._knowledge.resolve(node)
        if type(value) is object or isinstance(value, enum.Enum):
            return True
        return isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)

    def visit_Call(self, node: ast.Call) -> None:
        self._visit_call(node, statement=False)

    def _visit_call(self, node: ast.Call, *, statement: bool) -> None:
        self._collector.effects.substantial = True
        callee = self._calls.callee(node)
        self.visit(node.func)
        for child in (*node.args, *node.keywords):
            self.visit(child)
        self._calls.note(callee, node, statement=statement)

    def visit_Await(self, node: ast.Await) -> None:
        self._refuse_await(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._refuse_await(node)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._refuse_await(node)
        self.generic_visit(node)

    def _refuse_await(self, node: ast.AST) -> None:
        if self._collector.is_inside:
            return  # it belongs to a function that the cell makes or calls
        line = getattr(node, "lineno", 0)
        reason = "`await`, `async` and `yield` can't be split"
        self._collector.refuse(line, brief(node), reason)

    def _visit_comprehension(self, node: ast.AST) -> None:
        assert isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        self._collector.effects.substantial = True
        self.visit(node.generators[0].iter)
        if any(isinstance(n, ast.Await) for n in walk(node)):
            self._refuse_await(node)  # in its own scope it would seem to be a function's
        own = {name for generator in node.generators for name in bound_names(generator.target)}
        walrus = bound_names(node)
        with self._collector.scope(own - walrus, deferred=isinstance(node, ast.GeneratorExp)):
            for i, generator in enumerate(node.generators):
                if generator.is_async:
                    self._refuse_await(node)
                if i:
                    self.visit(generator.iter)
                self._alias(generator.target, generator.iter, part=True)
                for test in generator.ifs:
                    self.visit(test)
            parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
            for part in parts:
                self.visit(part)
        for name in walrus:
            self._collector.bind(name, getattr(node, "lineno", 0))

    visit_ListComp = visit_SetComp = visit_DictComp = _visit_comprehension  # noqa: N815
    visit_GeneratorExp = _visit_comprehension  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_defaults(node.args)
        with self._collector.scope(parameters_of(node.args), deferred=True):
            self.visit(node.body)

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)


def _is_of_own_frame(node: ast.Attribute) -> bool:
    """Whether it's the variables of the function that asks, or of a generator: no namespace."""
    frame = node.value
    if node.attr != "f_locals":
        return False
    if isinstance(frame, ast.Attribute):
        return frame.attr in _OF_GENERATORS
    return isinstance(frame, ast.Call) and not frame.args
