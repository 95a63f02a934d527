"""Whether a loop's work is worth the way to a worker.

It is if the workers have a call or a comprehension to evaluate, or an operator or two where the
commits compute nothing themselves. Where it isn't, the commits that keep the work for themselves
say why.
"""

from __future__ import annotations

import ast
from typing import Final

from mpmagic.cell.advice import advice_for, guarded_call, kept_call
from mpmagic.cell.dependence import Dependence, Unsplittable
from mpmagic.cell.effects import Refusal
from mpmagic.cell.rethrow import TIDY
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Stage
from mpmagic.cell.vocabulary import EVENTS, FAILURE

__all__ = ["calls_in_kernel", "calls_in_work", "idle", "is_heavy", "is_heavy_itself"]

_HEAVY: Final = (ast.Call, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LIGHT: Final = frozenset(
    {"range", "len", "int", "float", "bool", "abs", "isinstance", "type", "enumerate", "zip",
     "__import__"}
)  # fmt: skip


def calls_in_work(dependence: Dependence, operands: list[ast.expr]) -> bool:
    """Whether the workers have more to do than an operator or two."""
    units = [u for u in dependence.every_unit() if u.stage is Stage.WORK]
    nodes = [n for u in units if not u.blocks for n in u.nodes]
    nodes += [n for operand in operands for n in walk(operand)]
    loops = [(u, u.node) for u in units if isinstance(u.node, ast.For | ast.While)]
    headers = [loop.iter if isinstance(loop, ast.For) else loop.test for _, loop in loops]
    nodes += [n for header in headers for n in walk(header)]
    inside = [inner for unit, _ in loops for block in unit.blocks for inner in block]
    return any(map(is_heavy_itself, nodes)) or any(unit.stage is Stage.WORK for unit in inside)


def calls_in_kernel(sites: list[ast.stmt]) -> bool:
    """Whether a commit computes something itself before it stores it."""
    for site in sites:
        calls = [n for n in walk(site) if isinstance(n, ast.Call) and not _is_ours(n)]
        own = isinstance(site, ast.Expr) and isinstance(site.value, ast.Call)
        if len(calls) > own:
            return True
    return False


def _is_ours(node: ast.Call) -> bool:
    """Whether it's a call of ours, for an exception of the work."""
    match node.func:
        case ast.Name(id=name):
            return name == FAILURE
        case ast.Attribute(value=ast.Name(id=name), attr=method):
            return name == EVENTS and method == TIDY
        case _:
            return False


def idle(loop: ast.For, dependence: Dependence) -> Unsplittable:
    """Why a loop without work that is worth sending isn't split."""
    commits = [u for u in dependence.every_unit() if u.stage is Stage.COMMIT]
    commits = [u for u in commits if u.whole().substantial]
    for unit in commits:
        refusal = guarded_call(unit, dependence) or kept_call(unit, dependence)
        if refusal is not None:
            return Unsplittable(refusal, advice_for(unit, dependence), dependence.units)
    for unit in commits:
        if not isinstance(unit.node, ast.Expr):  # nor is a method that only stores
            refusal = Refusal(unit.node.lineno, ast.unparse(unit.node).partition("\n")[0], unit.why)
            return Unsplittable(refusal, advice_for(unit, dependence), dependence.units)
    refusal = Refusal(loop.lineno, "", "there is no work in the body that is worth sending")
    return Unsplittable(refusal, "", dependence.units)


def is_heavy(operand: ast.AST) -> bool:
    """Whether there is something to compute that is worth the way to a worker."""
    return any(map(is_heavy_itself, walk(operand)))


def is_heavy_itself(node: ast.AST) -> bool:
    """The same of a node alone, not of what is inside it."""
    return isinstance(node, _HEAVY) and not _is_light(node)


def _is_light(node: ast.AST) -> bool:
    """Whether it is a call that costs less than the way to a worker."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _LIGHT
