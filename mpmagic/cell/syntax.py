"""Small changes of syntax trees that several modules need."""

from __future__ import annotations

import ast
import copy

__all__ = ["locate_new", "set_blocks", "unannotated"]


def locate_new(node: ast.AST, line: int) -> None:
    """Give every node without a place the line of the one around it."""
    if "lineno" in node._attributes:
        if getattr(node, "lineno", None) is None:
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
        line = node.lineno  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        locate_new(child, line)


def unannotated(node: ast.stmt) -> ast.stmt:
    """The same statement as a function may hold it, where global names have no annotations."""
    if not any(isinstance(inner, ast.AnnAssign) for inner in ast.walk(node)):
        return node
    changed: ast.stmt = _Unannotated().visit(node)
    return changed


class _Unannotated(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return node
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node  # names of its own

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node


def set_blocks(node: ast.stmt, blocks: list[list[ast.stmt]]) -> None:
    """Put new statements into the blocks of a (shallow) copy of a compound statement."""
    match node:
        case ast.If() | ast.While() | ast.For():
            node.body, node.orelse = blocks
        case ast.With():
            (node.body,) = blocks
        case ast.Try() | ast.TryStar():
            node.handlers = [copy.copy(h) for h in node.handlers]
            node.body, *handlers, node.orelse, node.finalbody = blocks
            for handler, body in zip(node.handlers, handlers, strict=True):
                handler.body = body
        case ast.Match():
            node.cases = [copy.copy(c) for c in node.cases]
            for case, body in zip(node.cases, blocks, strict=True):
                case.body = body
