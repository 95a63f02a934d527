"""Shell escapes in loops, ``!cmd {name}`` and ``x = !cmd``, written so that they can be work.

IPython makes calls of methods of the shell of them, which look for the names in their text in the
frame that called them. Here the text's names stand in the call, for the analysis as for the worker.
"""

from __future__ import annotations

import ast
import builtins
import string
from collections.abc import Collection, Iterator
from typing import Any, Final

from mpmagic.cell.syntax import walk

__all__ = ["is_escape", "with_escapes"]

_MODULE: Final = "mpmagic.run.escaped"
_LOOPS: Final = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def with_escapes(tree: ast.Module, shell: Any) -> ast.Module:
    """The cell with the escapes in its loops as calls that any process can make.

    Parameters
    ----------
    tree
        The cell; it is changed.
    shell
        The shell. One that raises for commands that fail keeps its escapes, and one that hands
        the terminal to commands those of which the output isn't taken.
    """
    if getattr(shell, "system_raise_on_error", False):
        return tree
    is_raw = type(shell).system is getattr(type(shell), "system_raw", None)
    methods = {"getoutput"} if is_raw else {"getoutput", "system"}
    nodes = list(walk(tree))
    if not any(isinstance(n, ast.Attribute) and n.attr in methods for n in nodes):
        return tree
    bound = {n.id for n in nodes if isinstance(n, ast.Name)} | shell.user_ns.keys()
    _Rewriter(bound, methods).visit(tree)
    return ast.fix_missing_locations(tree)


def is_escape(node: ast.Call) -> bool:
    """Whether it's a call that an escape was made."""
    match node.func:
        case ast.Attribute(ast.Call(ast.Name("__import__"), [ast.Constant(module)])):
            return bool(module == _MODULE)
    return False


class _Rewriter(ast.NodeTransformer):
    """Rewrites what stands in loops."""

    def __init__(self, bound: Collection[str], methods: Collection[str]) -> None:
        self._bound = bound
        self._methods = methods
        self._depth = 0

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, _SCOPES):
            return node
        is_loop = isinstance(node, _LOOPS)
        self._depth += is_loop
        try:
            return super().visit(node)
        finally:
            self._depth -= is_loop

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        call = self._rewritten(node.value, "system")
        if call is None:
            return self.generic_visit(node)  # type: ignore[return-value]
        target = ast.Name("_exit_code", ast.Store())
        return ast.copy_location(ast.Assign([target], call), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return self._rewritten(node, "getoutput") or self.generic_visit(node)

    def _rewritten(self, node: ast.expr, method: str) -> ast.expr | None:
        match node:
            case ast.Call(
                ast.Attribute(ast.Call(ast.Name("get_ipython"), [], []), attr),
                [ast.Constant(str(text))],
                [],
            ) if attr == method and method in self._methods and self._depth:
                pass
            case _:
                return None
        names = sorted(set(_names(text)))
        if not all(name in self._bound or name in vars(builtins) for name in names):
            names = []  # IPython leaves such a text as it is
        names = [name for name in names if name in self._bound]
        given = ", ".join(f"{name!r}: {name}" for name in names)
        source = f"__import__({_MODULE!r}, fromlist=[{method!r}]).{method}({text!r}, {{{given}}})"
        call = ast.parse(source, mode="eval").body
        for part in ast.walk(call):
            ast.copy_location(part, node)
        return call


def _names(text: str) -> Iterator[str]:
    """The names in what IPython replaces in a command."""
    from IPython.utils.text import DollarFormatter

    try:
        fields = list(DollarFormatter().parse(text))
    except ValueError:  # a brace alone: nothing is replaced
        return
    for _, field, spec, _ in fields:
        if field:
            yield from _names_in(field)
        if spec:
            yield from (n for _, f, _, _ in string.Formatter().parse(spec) if f for n in _names(f))


def _names_in(expression: str) -> Iterator[str]:
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError:
        return
    yield from (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
