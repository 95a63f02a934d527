"""Paths such as ``a.b[i].c``: the names from which an expression takes the object that it gives.

A path starts from one name. Other expressions hand out (parts of) what several names lead to: the
branches of a condition, the elements of a tuple, the arguments of `zip`, the owner of a method that
only looks things up.
"""

from __future__ import annotations

import ast
from typing import Final

from mpmagic.cell import tables
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.syntax import INTERPOLATIONS, TEMPLATES, children

__all__ = ["is_paired", "root_of", "roots_of"]

# Builtins that hand out the very elements of their arguments.
_PASS_THROUGH: Final = frozenset(
    {"enumerate", "zip", "reversed", "sorted", "list", "tuple", "iter", "next", "filter", "max",
     "min", "getattr"}
)  # fmt: skip


def root_of(node: ast.expr) -> str | None:
    """The name at the root of a path such as ``a.b[i].c``; None where there is none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def roots_of(node: ast.expr, knowledge: Knowledge | None = None) -> set[str]:
    """Names from which `node` may take, as a path, (a part of) the value that it gives."""
    match node:
        case ast.Name():
            return {node.id}
        case ast.Attribute() | ast.Subscript() | ast.Starred():
            return roots_of(node.value, knowledge)
        case ast.NamedExpr():
            return roots_of(node.value, knowledge) | {node.target.id}
        case ast.IfExp():
            return roots_of(node.body, knowledge) | roots_of(node.orelse, knowledge)
        case ast.BoolOp():
            return set().union(*(roots_of(v, knowledge) for v in node.values))
        case ast.Tuple() | ast.List() | ast.Set():
            return set().union(*(roots_of(v, knowledge) for v in node.elts))
        case ast.Dict():
            return set().union(*(roots_of(v, knowledge) for v in node.values))
        case ast.Call(func=ast.Attribute() as func) if knowledge is not None:
            kind = knowledge.type_of(func.value)
            if tables.accessors(kind, func.attr):
                return roots_of(func.value, knowledge)
            return set()
        case ast.Call(func=ast.Name(id=name), args=args) if name in _PASS_THROUGH:
            return set().union(*(roots_of(a, knowledge) for a in args))
        case _ if isinstance(node, TEMPLATES + INTERPOLATIONS):
            held = (part for part in children(node) if isinstance(part, ast.expr))
            return set().union(*(roots_of(part, knowledge) for part in held))
        case _:
            return set()


def is_paired(target: ast.expr, value: ast.expr) -> bool:
    """Whether each part of the target gets its own part of the value."""
    if not isinstance(target, ast.Tuple | ast.List) or not isinstance(value, ast.Tuple | ast.List):
        return False
    if len(target.elts) != len(value.elts):
        return False
    return not any(isinstance(e, ast.Starred) for e in (*target.elts, *value.elts))
