"""What leaves a loop or its iteration: ``break`` and ``continue``, and where they may come from."""

from __future__ import annotations

import ast
from typing import Final

from mpmagic.cell.syntax import children

__all__ = ["breaks_of", "jumps"]

_NEVER_JUMPING: Final = (
    ast.expr, ast.Expr, ast.Assign, ast.AugAssign, ast.FunctionDef, ast.AsyncFunctionDef,
    ast.ClassDef,
)  # fmt: skip


def jumps(node: ast.AST, *kinds: type[ast.stmt]) -> bool:
    """Whether running `node` may break or continue a loop around it; of `kinds`, if any."""
    if isinstance(node, kinds or (ast.Break, ast.Continue)):
        return True
    if isinstance(node, _NEVER_JUMPING):
        return False
    inside = node.orelse if isinstance(node, ast.For | ast.While) else children(node)
    return any(jumps(child, *kinds) for child in inside)


def breaks_of(statements: list[ast.stmt]) -> list[int]:
    """Lines of the breaks that end the loop whose body `statements` are."""
    lines: list[int] = []
    for node in statements:
        if isinstance(node, ast.Break):
            lines.append(node.lineno)
        elif isinstance(node, ast.For | ast.While):
            lines += breaks_of(node.orelse)
        elif not isinstance(node, _NEVER_JUMPING):
            for name in ("body", "orelse", "finalbody"):
                lines += breaks_of(getattr(node, name, []))
            for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                lines += breaks_of(part.body)
    return lines
