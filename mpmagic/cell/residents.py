"""Names that are in the workers alone: where a cell would need them in the kernel."""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from mpmagic.cell.constants import placeholder
from mpmagic.cell.functions import global_names
from mpmagic.cell.half import Half
from mpmagic.cell.plan import CellPlan

__all__ = ["first_read", "needed_in_kernel"]

_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

Found = tuple[int, str]
"""The line of a name, and the name."""


def needed_in_kernel(
    plan: CellPlan, names: Collection[str], namespace: Mapping[str, Any]
) -> tuple[int, str, str] | None:
    """Where the kernel's part of a cell reads one of some names that the notebook lacks.

    Parameters
    ----------
    plan
        The plan.
    names
        The names, which the cell doesn't bind.
    namespace
        The user's namespace.

    Returns
    -------
    tuple or None
        The line, the name, and the function of the notebook by which it's read, if there is one.
    """
    wanted = set(names)
    functions = _Functions(plan.tree, namespace)
    for line, name in _kernel_reads(plan):
        if name in wanted:
            return line, name, ""
        if through := functions.reads_of(name) & wanted:
            return line, min(through), name
    return None


def first_read(node: ast.AST, names: Collection[str]) -> Found | None:
    """The first of some names that a piece of code reads."""
    reads = [
        (n.lineno, n.id)
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in names
    ]
    return min(reads, default=None)


def _kernel_reads(plan: CellPlan) -> Iterator[Found]:
    for statement in plan.tree.body:
        yield from _reads(statement)
    for loop in plan.loops:
        for half in (loop.split.commit, loop.split.ahead):
            yield from () if half is None else _reads_of_half(half)


def _reads(node: ast.AST) -> Iterator[Found]:
    """Names that are read, but for a loop's form that runs only if it can't be split after all."""
    if isinstance(node, ast.If | ast.IfExp) and _begins_loop(node.test):
        parts = node.body if isinstance(node, ast.If) else [node.body]
        for part in (node.test, *parts):
            yield from _reads(part)
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.lineno, node.id
    if isinstance(node, _DEFINITIONS):  # whose bodies run when they are called
        for part in (*node.decorator_list, node.args):
            yield from _reads(part)
        return
    for child in ast.iter_child_nodes(node):
        yield from _reads(child)


def _begins_loop(test: ast.expr) -> bool:
    match test:
        case ast.Call(ast.Attribute(ast.Constant(str(owner)), "begin")):
            return owner.startswith(placeholder(0).partition("0")[0])
    return False


def _reads_of_half(half: Half) -> Iterator[Found]:
    try:
        code = half.code
    except (SyntaxError, RecursionError):  # the loop will stay in the kernel, and says so
        return
    yield from _reads_of_code(code)


def _reads_of_code(code: types.CodeType) -> Iterator[Found]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.positions:
            yield instruction.positions.lineno or 0, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _reads_of_code(constant)


class _Functions:
    """What functions read, those of the cell and those of the notebook.

    Parameters
    ----------
    tree
        The cell.
    namespace
        The user's namespace.
    """

    def __init__(self, tree: ast.Module, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._of_cell = {n.name: n for n in ast.walk(tree) if isinstance(n, _DEFINITIONS)}

    def reads_of(self, name: str) -> set[str]:
        """The globals that a function reads, and the functions that it reads."""
        found: set[str] = set()
        left = [name]
        while left:
            new = self._direct(left.pop()) - found
            found |= new
            left += new
        return found

    def _direct(self, name: str) -> set[str]:
        if (node := self._of_cell.get(name)) is not None:
            names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            return {n.id for n in names if isinstance(n.ctx, ast.Load)}
        value = self._namespace.get(name)
        if isinstance(value, types.FunctionType) and value.__globals__ is self._namespace:
            return set(global_names(value.__code__)[0])
        return set()
