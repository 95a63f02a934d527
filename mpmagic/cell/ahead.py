"""Work that shared state guards, let run ahead (``--ahead``).

Where the last statement of the body is ``if TEST: BLOCK`` and the test reads shared state, the
iteration goes on as if it said ``if not TEST: continue`` before the block: the block's work then
runs in the worker for every item, and the kernel passes over what it gave wherever the test fails.
"""

from __future__ import annotations

import ast

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.jumps import jumps
from mpmagic.cell.syntax import locate_new, walk
from mpmagic.cell.unit import Stage

__all__ = ["skips", "unguarded"]


def unguarded(dependence: Dependence) -> list[ast.stmt] | None:
    """The body with its last guard turned into a ``continue``; None if it hasn't got one."""
    unit = dependence.units[-1]
    node = unit.node
    if unit.stage is not Stage.COMMIT or not isinstance(node, ast.If) or node.orelse:
        return None
    if not any(isinstance(inner, ast.Call) for s in node.body for inner in walk(s)):
        return None
    negated = ast.copy_location(ast.UnaryOp(op=ast.Not(), operand=node.test), node.test)
    leave = ast.copy_location(ast.Continue(), node)
    guard = ast.copy_location(ast.If(test=negated, body=[leave], orelse=[]), node)
    guard.end_lineno = node.test.end_lineno
    locate_new(guard, node.lineno)
    return [*dependence.body[:-1], guard, *node.body]


def skips(dependence: Dependence) -> bool:
    """Whether a commit may end an iteration whose work has run on."""
    return dependence.allowances.ahead and any(
        unit.stage is Stage.COMMIT and jumps(unit.node, ast.Continue)
        for unit in dependence.every_unit()
    )
