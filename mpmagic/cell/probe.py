"""What the kernel evaluates of a commit before an operand that the worker has computed already.

In ``totals[key] += f(x)`` a missing key raises before `f` is called. What may raise so is
evaluated once more, before the operands are asked for; what can't be evaluated twice keeps the
operands after it in the kernel.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from mpmagic.cell.syntax import INTERPOLATIONS, TEMPLATES, walk
from mpmagic.cell.vocabulary import EVENT

__all__ = ["Probe", "is_repeatable", "may_fail", "may_raise"]


_PLAIN: Final = (ast.Name, ast.Constant, ast.Lambda, ast.Tuple, ast.List, ast.Slice, *TEMPLATES,
                 *INTERPOLATIONS)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Probe:
    """What the kernel evaluates of a commit before an operand, and may raise.

    Attributes
    ----------
    parts
        The expressions, in order.
    count
        How many operands belong to them, or come before the one in question.
    """

    parts: list[ast.expr]
    count: int


def may_raise(node: ast.expr) -> bool:
    """Whether the kernel's evaluation of an expression, its parts apart, may raise."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return node.value.id != EVENT
    if isinstance(node, ast.Set | ast.Dict):
        keys = node.elts if isinstance(node, ast.Set) else node.keys
        return not all(isinstance(key, ast.Constant) for key in keys)
    return not isinstance(node, _PLAIN)


def may_fail(node: ast.expr) -> bool:
    """Whether the kernel's evaluation of an expression may raise, in whatever part."""
    return any(isinstance(n, ast.expr) and may_raise(n) for n in walk(node))


def is_repeatable(node: ast.expr) -> bool:
    """Whether the kernel may evaluate it twice."""
    calls = [n.func for n in walk(node) if isinstance(n, ast.Call)]
    return all(isinstance(f, ast.Attribute) and f.attr in ("get", "setdefault") for f in calls)
