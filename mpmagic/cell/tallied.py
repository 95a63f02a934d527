"""Loops that only count: each commit adds to integers, and the order of additions doesn't matter.

::

    for line in lines:                         counts[key(line)] += 1
        counts[line.split()[8]] += 1    -->    summed per chunk where the work runs

The work of such a loop must be harmless to do twice: a chunk that turns out not to be summable (a
key that is missing, a float, an exception) is run again, commit by commit. So it may call nothing
but methods of text, of matches and of patterns, and some builtins.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final, NamedTuple

from mpmagic.cell.half import Half
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.syntax import copied, walk

__all__ = ["BUILTINS", "ITEMS", "LOCALS", "Tallied", "tallied"]

ITEMS: Final = ".items"
"""The parameter of the work that holds the items: no name of a user's can clash with it."""

LOCALS: Final = ".locals"
"""The parameter that holds the builtin `locals`."""

BUILTINS: Final = frozenset(
    {"abs", "bool", "chr", "enumerate", "float", "int", "len", "list", "max", "min", "ord",
     "range", "reversed", "round", "sorted", "str", "sum", "tuple", "zip"}
)  # fmt: skip
"""What the work may call by these names, unless the notebook has bound them anew."""

_OF_MATCHES: Final = {"end", "findall", "fullmatch", "group", "groups", "match", "search", "span",
                      "start", "sub"}  # fmt: skip
_METHODS: Final = frozenset(
    {n for kind in (str, bytes) for n in dir(kind) if not n.startswith("_")} | _OF_MATCHES
)
_HARMLESS: Final = (
    ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript,
    ast.Slice, ast.Tuple, ast.List, ast.JoinedStr, ast.FormattedValue, ast.NamedExpr, ast.Starred,
    ast.keyword, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


class Tallied(NamedTuple):
    """A loop whose commits can be summed.

    Attributes
    ----------
    counters
        Names of the mappings in which it counts.
    sums
        Names of the integers to which it adds.
    called
        Builtins that its work calls.
    half
        The loop as a function of the items, counters and sums of its own, and `locals`, which
        gives what it has bound.
    """

    counters: tuple[str, ...]
    sums: tuple[str, ...]
    called: frozenset[str]
    half: Half


def tallied(loop: ast.For, split: SplitLoop, filename: str) -> Tallied | None:
    """The form in which a loop can be summed; None if it can't."""
    if split.slices or split.fresh or split.speculates:
        return None
    body = _Body(split.private | split.targets, split.shared)
    if not body.target(loop.target) or not body.statements(loop.body, inner=False):
        return None
    if body.counters & body.sums or body.counters | body.sums != split.shared:
        return None
    counters, sums = tuple(sorted(body.counters)), tuple(sorted(body.sums))
    parameters = (ITEMS, *counters, *sums, LOCALS)
    half = Half(parameters, (), _function_body(loop), filename)
    return Tallied(counters, sums, frozenset(body.called), half)


def _function_body(loop: ast.For) -> ast.stmt:
    again = copied(loop)
    again.iter, again.orelse = ast.Name(id=ITEMS, ctx=ast.Load()), []
    bound = ast.Call(func=ast.Name(id=LOCALS, ctx=ast.Load()), args=[], keywords=[])
    block: list[ast.stmt] = [again, ast.Return(value=bound)]
    return ast.copy_location(ast.If(test=ast.Constant(True), body=block, orelse=[]), loop)


class _Body:
    """Looks through a loop's body for anything but harmless work and additions."""

    def __init__(self, own: frozenset[str], shared: frozenset[str]) -> None:
        self._own = own
        self._shared = shared
        self.counters: set[str] = set()
        self.sums: set[str] = set()
        self.called: set[str] = set()

    def statements(self, body: Iterable[ast.stmt], *, inner: bool) -> bool:
        return all(self._statement(node, inner=inner) for node in body)

    def target(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Tuple):
            return all(map(self.target, node.elts))
        return isinstance(node, ast.Name) and node.id in self._own

    def _statement(self, node: ast.stmt, *, inner: bool) -> bool:
        match node:
            case ast.AugAssign():
                return self._addition(node)
            case ast.Assign():
                return all(map(self.target, node.targets)) and self._harmless(node.value)
            case ast.If():
                blocks = self.statements([*node.body, *node.orelse], inner=inner)
                return self._harmless(node.test) and blocks
            case ast.For():
                inside = self.statements(node.body, inner=True)
                return (
                    self.target(node.target)
                    and self._harmless(node.iter)
                    and inside
                    and self.statements(node.orelse, inner=inner)
                )
            case ast.Break():
                return inner
            case ast.Expr():
                return isinstance(node.value, ast.Constant)
        return isinstance(node, ast.Continue | ast.Pass)

    def _addition(self, node: ast.AugAssign) -> bool:
        target = node.target
        if not self._harmless(node.value):
            return False
        if isinstance(target, ast.Name) and target.id in self._own:
            return True
        if not isinstance(node.op, ast.Add | ast.Sub):
            return False
        if isinstance(target, ast.Name):
            self.sums.add(target.id)
            return True
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
            return False
        self.counters.add(target.value.id)
        return self._harmless(target.slice)

    def _harmless(self, expression: ast.expr) -> bool:
        return all(self._harmless_node(node) for node in self._parts(expression))

    def _parts(self, expression: ast.expr) -> list[ast.AST]:
        calls = [node for node in walk(expression) if isinstance(node, ast.Call)]
        methods = {id(call.func) for call in calls if isinstance(call.func, ast.Attribute)}
        return [node for node in walk(expression) if id(node) not in methods]

    def _harmless_node(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id not in self._shared
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                return node.func.attr in _METHODS
            if isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
                self.called.add(node.func.id)
                return True
            return False
        return isinstance(node, _HARMLESS)
