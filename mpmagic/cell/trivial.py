"""Work that is a few operations on numbers: it takes less time than its way to a worker and back.

What an iteration gives is noted in the worker and replayed in the kernel, which takes about a
microsecond; ten operations on numbers take less.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Stage, Unit

__all__ = ["numbers_read"]

_MOST: Final = 10
_OPERATIONS: Final = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp)
_PLAIN: Final = (*_OPERATIONS, ast.Name, ast.Tuple)
_NUMBERS: Final = (int, float, complex)
_JUMPS: Final = (ast.Pass, ast.Continue, ast.Break)


def numbers_read(units: Iterable[Unit], operands: Iterable[ast.expr]) -> set[str] | None:
    """The names that the work reads, if it is a few operations once these stand for numbers.

    Parameters
    ----------
    units
        The body of the loop.
    operands
        What the work computes for commits.

    Returns
    -------
    set of str or None
        Without those that the work itself binds; None if there is more to compute.
    """
    parts = [*operands]
    bound: set[str] = set()
    for unit in units:
        found = _parts(unit, bound)
        if found is None:
            return None
        parts += found
    nodes = [node for part in parts for node in walk(part)]
    if sum(isinstance(node, _OPERATIONS) for node in nodes) > _MOST:
        return None
    if not all(map(_is_plain, nodes)):
        return None
    return {node.id for node in nodes if isinstance(node, ast.Name)} - bound


def _is_plain(node: ast.AST) -> bool:
    """Whether it's an operation on numbers, and none that makes large ones of small ones."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, _NUMBERS)
        case ast.BinOp(op=ast.Pow() | ast.LShift() | ast.MatMult()):
            return False
        case _:
            return isinstance(node, _PLAIN)


def _parts(unit: Unit, bound: set[str]) -> list[ast.expr] | None:
    """The expressions of a unit of work, None if it's more; `bound` gets the names it binds."""
    if unit.stage is Stage.PREPARE or unit.attempted or unit.mirrored or unit.is_locked:
        return None
    if unit.stage is Stage.COMMIT:
        return []
    match unit.node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            bound.add(name)
            return [value]
        case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
            return [ast.BinOp(ast.Name(target.id, ast.Load()), op, value)]
        case ast.If(test=test):
            inner = [_parts(one, bound) for block in unit.blocks for one in block]
            return None if None in inner else [test, *_flat(inner)]
        case node if isinstance(node, _JUMPS):
            return []
        case _:
            return None


def _flat(parts: Iterable[list[ast.expr] | None]) -> Iterator[ast.expr]:
    for some in parts:
        yield from some or ()
