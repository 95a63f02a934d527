"""A ``try`` of which the worker runs the beginning, and the kernel the rest.

In ``try: y = slow(x); groups[k].append(y)`` the commit may raise where handlers are. The worker
runs what stands before it and computes its operands, whatever comes of that; the kernel raises the
worker's exception in its place, or makes the commit, under the handlers, which are commits too.
"""

from __future__ import annotations

import ast

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.jumps import jumps
from mpmagic.cell.rethrow import rethrown
from mpmagic.cell.unit import Stage, Unit
from mpmagic.cell.vocabulary import EVENTS, FAILURE

__all__ = ["attempt", "raising"]


def attempt(dependence: Dependence, unit: Unit, why: str) -> bool:
    """Leave all but the first work of a ``try`` to the kernel; whether that can be done."""
    assert isinstance(unit.node, ast.Try)
    tried = unit.first_work()
    rest = unit.blocks[0][len(tried) :]
    later = [u for block in unit.blocks[1:] for u in block]
    if any(inner.mirrored for u in (*rest, *later) for inner in u.walk()):
        return False
    if unit.node.finalbody and any(jumps(u.node) for u in tried):
        return False
    bound = {name for u in tried for name in u.whole().binds}
    types = dependence.scanner.scan([h.type for h in unit.node.handlers if h.type is not None])
    # Where the work has raised, the kernel may find nothing, or the value before, under them.
    handling = [u for block in (*unit.blocks[1:-2], unit.blocks[-1]) for u in block]
    if bound & {name for u in handling for name in u.whole().touched()}:
        return False
    if types.touched() & (dependence.private | dependence.kernel.keys()):
        return False
    for inner in (*rest, *later):
        if inner.stage is Stage.WORK:
            dependence.commit(inner, why)
    for handler in unit.node.handlers:
        if handler.name:
            dependence.kernel.setdefault(handler.name, why)
    unit.attempted = True
    return True


def raising(failure: ast.expr) -> ast.stmt:
    """In the kernel: raises the exception of the work, with the traceback that it had there.

    Parameters
    ----------
    failure
        The operand that holds the exception, or None.
    """
    call = ast.Call(func=ast.Name(id=FAILURE, ctx=ast.Load()), args=[failure], keywords=[])
    raised = rethrown(ast.Raise(exc=call, cause=None), ast.Name(id=EVENTS, ctx=ast.Load()))
    return ast.If(test=failure, body=[raised], orelse=[])
