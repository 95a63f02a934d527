"""Whether code closes all figures of pyplot's that it makes, and touches no others.

Then it leaves pyplot's state as it was, and the figures are the iteration's, or the call's, own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

from mpmagic.cell.figures import Touch
from mpmagic.cell.jumps import jumps
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import blocks_of

__all__ = ["closes_its_own"]


def closes_its_own(body: Sequence[ast.stmt], touches: Mapping[ast.Call, Touch]) -> bool:
    """Whether a body touches no figures but those that it makes, and closes them all.

    Parameters
    ----------
    body
        The statements of an iteration or of a function.
    touches
        What its calls do.
    """
    return _after(body, touches, 0) == 0


def _after(
    body: Iterable[ast.stmt], touches: Mapping[ast.Call, Touch], opened: int | None
) -> int | None:
    """How many figures of its own are open after statements; None where that can't be told."""
    for statement in body:
        if opened is None:
            return None
        found = [touches[n] for n in walk(statement) if isinstance(n, ast.Call) and n in touches]
        if isinstance(statement, ast.With):
            opened = _after(statement.body, touches, opened)
        elif not found or isinstance(statement, ast.FunctionDef | ast.ClassDef):
            opened = None if opened and _leaves(statement) else opened
        elif isinstance(statement, ast.Try) and statement.finalbody:
            inside = _after(statement.body, touches, opened)
            opened = _after(statement.finalbody, touches, inside)
        elif blocks := blocks_of(statement):
            opened = _around(blocks, touches, opened, found)
            opened = None if opened and _leaves(statement) else opened
        else:
            opened = _simple(found, opened)
    return opened


def _around(
    blocks: list[list[ast.stmt]],
    touches: Mapping[ast.Call, Touch],
    opened: int,
    found: list[Touch],
) -> int | None:
    """The same of a statement whose blocks may run or not: each has to close what it makes."""
    if opened and set(found) == {Touch.CURRENT}:
        return opened
    return opened if all(_after(block, touches, 0) == 0 for block in blocks) else None


def _simple(found: list[Touch], opened: int) -> int | None:
    opened += found.count(Touch.NEW)
    others = {Touch.CURRENT, Touch.CLOSE, Touch.CLOSE_ALL} & set(found)
    if Touch.SHOW in found or (others and not opened):
        return None
    if Touch.CLOSE_ALL in found:
        return 0
    opened -= found.count(Touch.CLOSE)
    return opened if opened >= 0 else None


def _leaves(statement: ast.stmt) -> bool:
    return jumps(statement) or any(isinstance(n, ast.Return) for n in walk(statement))
