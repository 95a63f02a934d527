"""Loops that stay in the kernel since a worker would be of no help, as far as their values tell."""

from __future__ import annotations

import ast
from typing import Any, Final

from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.trivial import numbers_read
from mpmagic.run.context import CellContext

__all__ = ["TRIVIAL", "is_trivial"]

TRIVIAL: Final = "its work, a few operations on numbers, takes less time than the way to a worker"
_NUMBERS: Final = frozenset({int, float, complex, bool})
_LARGEST: Final = 1 << 62
_SEEN: Final = 8
"""Items of a list that are looked at: nothing but time is lost if others are no numbers."""


def is_trivial(planned: PlannedLoop, iterable: Any, cell: CellContext) -> bool:
    """Whether a loop computes so little, and may stay.

    Parameters
    ----------
    planned, iterable
        The loop, and what it iterates over.
    cell
        The cell that it is part of.
    """
    if cell.sends_all:
        return False
    target = planned.loop.target
    names = numbers_read(planned.units, planned.split.operands)
    if names is None or not isinstance(target, ast.Name):
        return False
    values = [cell.namespace.get(name) for name in names - {target.id}]
    return all(map(_is_number, values)) and (target.id not in names or _gives_numbers(iterable))


def _gives_numbers(iterable: Any) -> bool:
    if type(iterable) is range:
        return _is_number(iterable.start) and _is_number(iterable.stop)
    if type(iterable) not in (list, tuple):
        return False
    return all(map(_is_number, iterable[:: max(len(iterable) // _SEEN, 1)]))


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS and (type(value) is not int or abs(value) < _LARGEST)
