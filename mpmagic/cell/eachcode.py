"""A cell of ``--each`` in parts: its code, and which names it needs of others."""

from __future__ import annotations

import ast
import types
from typing import NamedTuple

from mpmagic.cell.compiled import compiled
from mpmagic.cell.flow import Flow
from mpmagic.cell.functions import global_names
from mpmagic.cell.knowledge import bound_names

__all__ = ["EachCode", "each_code", "line_of_magic"]


class EachCode(NamedTuple):
    """What of a cell travels.

    Attributes
    ----------
    body, last
        The code of its statements, and of the expression at its end whose value is wanted.
    binds
        Names that it may bind.
    reads
        Names that it needs: those that it doesn't bind, or reads before.
    """

    body: types.CodeType
    last: types.CodeType | None
    binds: frozenset[str]
    reads: frozenset[str]


def each_code(tree: ast.Module, filename: str) -> EachCode:
    """The parts of a cell.

    Raises
    ------
    SyntaxError, RecursionError
        If it can't be compiled.
    """
    statements, last = tree.body, None
    if statements and isinstance(statements[-1], ast.Expr):
        last = compiled(ast.Expression(statements[-1].value), filename, "eval")
        statements = statements[:-1]
    body = compiled(ast.Module(body=statements, type_ignores=[]), filename, "exec")
    binds = frozenset(name for node in tree.body for name in bound_names(node))
    loads = global_names(body)[0] | (global_names(last)[0] if last is not None else set())
    flow = Flow(lambda _: (), lambda _: (), lambda _: False)
    flow.part(tree.body, ())
    return EachCode(body, last, binds, frozenset((loads - binds) | (loads & flow.exposed.keys())))


def line_of_magic(tree: ast.Module) -> int:
    """The line of the first magic or shell command of a cell, which only the kernel has; or 0."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    lines = (n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "get_ipython")
    return min(lines, default=0)
