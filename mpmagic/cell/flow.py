"""Which names an iteration may read before it binds them.

A name that the body binds and that has such an upward-exposed use carries a value from one
iteration to the next: a loop-carried dependence. All other names that the body binds can be
privatised: every iteration has its own.

The walk follows Python's order of evaluation and keeps, for each point, the set of names that are
bound on every way there; `None` stands for a point that isn't reached.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Final

from mpmagic.cell.jumps import jumps
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.syntax import children

__all__ = ["Flow", "Reach"]

Reach = set[str] | None

# Kinds of expressions that evaluate what is in them, all of it, in the order of their fields.
_IN_ORDER: Final = frozenset(
    {ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.BinOp, ast.UnaryOp, ast.Tuple,
     ast.List, ast.Set, ast.Slice, ast.Starred, ast.keyword, ast.JoinedStr, ast.FormattedValue}
)  # fmt: skip


class Flow:
    """The definite bindings of one iteration of a loop's body.

    Parameters
    ----------
    target
        The loop's target, bound when the iteration begins.
    hidden_reads
        For a simple statement or the header of a compound one, the names that it reads elsewhere
        than in expressions of its own: globals of functions that it calls, free names of
        functions and classes that it makes.
    hidden_binds
        State without a name that the same part binds.
    suppresses
        Whether a context manager may swallow an exception of its block.

    Attributes
    ----------
    exposed
        Upward-exposed uses: each name with the line of its first one.
    at_end
        Names that are bound whenever an iteration ends without an exception or a break.
    """

    def __init__(
        self,
        hidden_reads: Callable[[ast.AST], Iterable[str]],
        hidden_binds: Callable[[ast.AST], Iterable[str]],
        suppresses: Callable[[ast.expr], bool],
    ) -> None:
        self.exposed: dict[str, int] = {}
        self.at_end: Reach = None
        self._hidden_reads = hidden_reads
        self._hidden_binds = hidden_binds
        self._suppresses = suppresses
        # For each loop around the present point, the states at the jumps that go past its rest:
        # `continue` of the loop itself, which ends the iteration, and `break` of those inside it.
        self._jumps: list[list[set[str]]] = []

    def iteration(self, body: list[ast.stmt], bound: Iterable[str]) -> None:
        """Walk through one iteration that begins with `bound` being bound."""
        end, jumps = self._loop(body, set(bound))
        self.at_end = _join(self.at_end, end, *jumps)

    def part(self, statements: list[ast.stmt], bound: Iterable[str]) -> Reach:
        """Walk through a part of an iteration that nothing jumps out of."""
        end, _ = self._loop(statements, set(bound))
        return end

    def block(self, statements: Iterable[ast.stmt], defined: Reach) -> Reach:
        """Walk through statements; the names bound on every way to the end of them."""
        for statement in statements:
            if defined is None:
                return None
            defined = self._statement(statement, defined)
        return defined

    def _statement(self, node: ast.stmt, defined: set[str]) -> Reach:
        for name in self._hidden_reads(node):
            self._use(name, node.lineno, defined)
        defined.update(self._hidden_binds(node))
        match node:
            case ast.If():
                self._expression(node.test, defined)
                return _join(
                    self.block(node.body, set(defined)), self.block(node.orelse, set(defined))
                )
            case ast.For() | ast.AsyncFor():
                return self._for(node, defined)
            case ast.While():
                return self._while(node, defined)
            case ast.Try() | ast.TryStar():
                return self._try(node, defined)
            case ast.With() | ast.AsyncWith():
                return self._with(node, defined)
            case ast.Match():
                return self._match(node, defined)
            case ast.Continue() | ast.Break():
                if isinstance(node, ast.Continue) == (len(self._jumps) == 1):
                    self._jumps[-1].append(set(defined))
                return None
            case ast.Return() | ast.Raise():
                self._children(node, defined)
                return None
            case _:
                self._simple(node, defined)
                return defined

    def _for(self, node: ast.For | ast.AsyncFor, defined: set[str]) -> Reach:
        self._expression(node.iter, defined)
        inside = set(defined)
        self._expression(node.target, inside)
        end, breaks = self._loop(node.body, inside)
        once = _is_never_empty(node.iter) and not any(jumps(s, ast.Continue) for s in node.body)
        before_else = end if once else set(defined)
        after = None if before_else is None else self.block(node.orelse, set(before_else))
        return _join(after, *breaks)

    def _while(self, node: ast.While, defined: set[str]) -> Reach:
        self._expression(node.test, defined)
        _, breaks = self._loop(node.body, set(defined))
        if isinstance(node.test, ast.Constant) and node.test.value:
            return _join(*breaks)
        return _join(self.block(node.orelse, set(defined)), *breaks)

    def _loop(self, body: list[ast.stmt], defined: set[str]) -> tuple[Reach, list[set[str]]]:
        """Walk through a loop's body once; the states at its end and at the jumps past it."""
        self._jumps.append([])
        end = self.block(body, defined)
        return end, self._jumps.pop()

    def _try(self, node: ast.Try | ast.TryStar, defined: set[str]) -> Reach:
        after = self.block(node.body, set(defined))
        if after is not None:
            after = self.block(node.orelse, after)
        for handler in node.handlers:
            inside = set(defined)
            if handler.type is not None:
                self._expression(handler.type, inside)
            if handler.name:
                inside.add(handler.name)
            after = _join(after, self._handler(handler, inside))
        last = self.block(node.finalbody, set(defined))
        if last is None or after is None:
            return None
        return after | last

    def _handler(self, node: ast.ExceptHandler, defined: set[str]) -> Reach:
        """Walk through a handler's body; its name is unbound however the body is left."""
        before = len(self._jumps[-1])
        end = self.block(node.body, defined)
        if node.name:
            for state in (*self._jumps[-1][before:], end):
                if state is not None:
                    state.discard(node.name)
        return end

    def _with(self, node: ast.With | ast.AsyncWith, defined: set[str]) -> Reach:
        before = set(defined)
        for item in node.items:
            self._expression(item.context_expr, defined)
            if item.optional_vars is not None:
                self._expression(item.optional_vars, defined)
        after = self.block(node.body, defined)
        if any(self._suppresses(item.context_expr) for item in node.items):
            return before
        return after

    def _match(self, node: ast.Match, defined: set[str]) -> Reach:
        self._expression(node.subject, defined)
        after: Reach = None
        exhaustive = False
        for case in node.cases:
            inside = defined | bound_names(case.pattern)
            if case.guard is not None:
                self._expression(case.guard, inside)
            elif isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None:
                exhaustive = True
            after = _join(after, self.block(case.body, inside))
        return after if exhaustive else _join(after, defined)

    def _simple(self, node: ast.stmt, defined: set[str]) -> None:
        match node:
            case ast.Assign():
                self._expression(node.value, defined)
                for target in node.targets:
                    self._expression(target, defined)
            case ast.AugAssign(target=ast.Name(id=name)):
                self._use(name, node.lineno, defined)
                self._expression(node.value, defined)
                defined.add(name)
            case ast.AnnAssign():
                if node.value is not None:
                    self._expression(node.value, defined)
                    self._expression(node.target, defined)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._definition(node, defined)
                defined.add(node.name)
            case ast.ClassDef():
                defined.add(node.name)
            case ast.Import() | ast.ImportFrom():
                defined |= bound_names(node)
            case ast.Assert():
                self._expression(node.test, defined)
                if node.msg is not None:
                    self._expression(node.msg, set(defined))
            case _:
                self._children(node, defined)

    def _children(self, node: ast.AST, defined: set[str]) -> None:
        for child in children(node):
            self._expression(child, defined)

    def _name(self, node: ast.Name, defined: set[str]) -> None:
        if isinstance(node.ctx, ast.Store):
            defined.add(node.id)
            return
        self._use(node.id, node.lineno, defined)
        if isinstance(node.ctx, ast.Del):
            defined.discard(node.id)

    def _expression(self, node: ast.AST, defined: set[str]) -> None:
        if type(node) in _IN_ORDER:  # most nodes
            for child in children(node):
                self._expression(child, defined)
            return
        if isinstance(node, ast.Name):
            self._name(node, defined)
            return
        match node:
            case ast.NamedExpr():
                self._expression(node.value, defined)
                defined.add(node.target.id)
            case ast.BoolOp():
                self._expression(node.values[0], defined)
                later = set(defined)
                for value in node.values[1:]:
                    self._expression(value, later)
            case ast.Compare():
                # A chain stops at the first comparison that doesn't hold.
                self._expression(node.left, defined)
                self._expression(node.comparators[0], defined)
                later = set(defined)
                for value in node.comparators[1:]:
                    self._expression(value, later)
            case ast.IfExp():
                self._expression(node.test, defined)
                one, other = set(defined), set(defined)
                self._expression(node.body, one)
                self._expression(node.orelse, other)
                defined |= one & other
            case ast.Dict():
                for key, value in zip(node.keys, node.values, strict=True):
                    if key is not None:
                        self._expression(key, defined)
                    self._expression(value, defined)
            case ast.Lambda():
                self._definition(node, defined)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node, defined)
            case _:
                self._children(node, defined)

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp,
        defined: set[str],
    ) -> None:
        self._expression(node.generators[0].iter, defined)
        inside = set(defined)
        for i, generator in enumerate(node.generators):
            if i:
                self._expression(generator.iter, inside)
            self._expression(generator.target, inside)
            for test in generator.ifs:
                self._expression(test, inside)
        if isinstance(node, ast.DictComp):
            self._expression(node.key, inside)
            self._expression(node.value, inside)
        else:
            self._expression(node.elt, inside)

    def _definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, defined: set[str]
    ) -> None:
        """A function is made: its defaults are read now, its free names are hidden reads."""
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self._expression(decorator, defined)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self._expression(default, defined)

    def _use(self, name: str, line: int, defined: set[str]) -> None:
        if name not in defined:
            self.exposed.setdefault(name, line)


def _is_never_empty(node: ast.expr) -> bool:
    """Whether a loop over it surely has an iteration."""
    match node:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return any(not isinstance(e, ast.Starred) for e in elements)
        case ast.Constant(value=str() | bytes() as text):
            return bool(text)
        case ast.Call(func=ast.Name(id="range"), args=args):
            values = [a.value for a in args if isinstance(a, ast.Constant)]
            bounds = [v for v in values if isinstance(v, int)]
            return 0 < len(bounds) == len(args) < 3 and len(range(*bounds)) > 0
        case _:
            return False


def _join(*states: Reach) -> Reach:
    """What holds on every way that leads to one point; None if none does."""
    reached = [state for state in states if state is not None]
    return set.intersection(*reached) if reached else None
