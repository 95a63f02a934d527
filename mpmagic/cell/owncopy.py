"""Functions that change a copy of what they are called with, under the parameter's name.

``def totalled(row): row = row.copy(); row["total"] = ...; return row`` changes nothing that its
caller has. A shallow copy does too, as long as only the copy itself is changed, and not its parts.
"""

from __future__ import annotations

import ast
import copy
from typing import Final

from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.syntax import copied, walk

__all__ = ["without_bound_attributes", "without_own_changes"]

_COPYING: Final = (list, dict, set, bytearray, copy.copy, copy.deepcopy)
_INDEXERS: Final = frozenset({"at", "iat", "iloc", "loc"})


def without_own_changes(
    node: ast.FunctionDef, name: str, knowledge: Knowledge
) -> ast.FunctionDef | None:
    """The function without what it changes in its own copy of a parameter.

    None if it doesn't make one first. What is left may still change the parameter's parts.
    """
    for index, statement in enumerate(node.body):
        if _is_copy(statement, name, knowledge):
            rest = [_Changes(name).visit(copied(later)) for later in node.body[index + 1 :]]
            left = copy.copy(node)
            left.body = rest or [ast.Pass()]
            return left
        if any(isinstance(part, ast.Name) and part.id == name for part in walk(statement)):
            return None
    return None


def without_bound_attributes(node: ast.FunctionDef, name: str) -> ast.FunctionDef:
    """The function without what it binds attributes of a parameter to, numbers added included.

    That changes the object itself, and nothing that it holds.
    """
    left = copy.copy(node)
    left.body = [_Bindings(name).visit(copied(statement)) for statement in node.body]
    return left


def _is_copy(node: ast.stmt, name: str, knowledge: Knowledge) -> bool:
    match node:
        case ast.Assign(
            targets=[ast.Name(id=target)],
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="copy"), args=[]),
        ):
            return target == owner == name
        case ast.Assign(
            targets=[ast.Name(id=target)],
            value=ast.Call(func=func, args=[ast.Name(id=source)], keywords=[]),
        ):
            called = knowledge.resolve(func)
            return target == source == name and any(called is known for known in _COPYING)
        case _:
            return False


class _Changes(ast.NodeTransformer):
    """Takes out what is stored into the copy, and calls of its methods; their operands stay."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        return self._without(node, node.targets, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        return self._without(node, [node.target], node.value)

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        match node.value:
            case ast.Call(func=ast.Attribute(value=owner), args=args, keywords=keywords) if (
                _is_itself(owner, self._name)
            ):
                return _operands([*args, *(keyword.value for keyword in keywords)], node)
            case _:
                return node

    def _without(self, node: ast.stmt, targets: list[ast.expr], value: ast.expr) -> ast.stmt:
        keys = []
        for target in targets:
            if not isinstance(target, ast.Attribute | ast.Subscript):
                return node
            if not _is_itself(target.value, self._name):
                return node
            keys += [target.slice] if isinstance(target, ast.Subscript) else []
        return _operands([value, *keys], node)


class _Bindings(ast.NodeTransformer):
    """Takes out what attributes of a name are bound to; their values stay."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        bound = all(map(self._is_attribute, node.targets))
        return _operands([node.value], node) if bound else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        # A list takes no number: with one, the attribute is bound to another number.
        number = isinstance(node.value, ast.Constant) and isinstance(node.value.value, int | float)
        adds = isinstance(node.op, ast.Add | ast.Sub) and number
        return _operands([node.value], node) if adds and self._is_attribute(node.target) else node

    def _is_attribute(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and _is_itself(node.value, self._name)


def _operands(parts: list[ast.expr], at: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Expr(ast.Tuple(parts, ast.Load())), at)


def _is_itself(node: ast.expr, name: str) -> bool:
    if isinstance(node, ast.Attribute) and node.attr in _INDEXERS:
        node = node.value
    return isinstance(node, ast.Name) and node.id == name
