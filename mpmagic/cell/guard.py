"""Which commits can't raise.

A commit under ``try`` or ``with`` may be split off only if it can't raise there, since an
exception of it would change what follows.
"""

from __future__ import annotations

import ast
import collections
import types
from collections.abc import Iterable
from typing import Final

from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.unit import Unit

__all__ = [
    "bound_to_keys",
    "hash_checked",
    "infallible",
    "looked_up",
    "number_checked",
    "operands_of",
    "slot_keys",
]

_MAPPINGS: Final = (dict, collections.Counter, collections.defaultdict, collections.OrderedDict)


def infallible(node: ast.stmt, knowledge: Knowledge) -> bool:
    """Whether a commit can't raise once its operands and the hashes of its keys are there."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute() as func, args=[_], keywords=[])):
            kind = knowledge.type_of(func.value)
            named = isinstance(func.value, ast.Name)
            return named and (kind, func.attr) in ((list, "append"), (set, "add"))
        case ast.Assign(targets=[ast.Name()]):
            return not _may_raise(node.value)
        case ast.Assign(targets=[ast.Subscript(value=ast.Name() as owner)]):
            return knowledge.type_of(owner) in _MAPPINGS
        case ast.AugAssign(target=ast.Name() as name, value=ast.Constant(value=int() | float())):
            kind = knowledge.type_of(ast.Name(id=name.id, ctx=ast.Load()))
            return kind in (int, float) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult)
        case ast.AugAssign(target=ast.Name(), op=ast.Add() | ast.Sub()):
            return number_checked(node, knowledge) is not None
        case ast.AugAssign(
            target=ast.Subscript(value=ast.Name() as owner), value=ast.Constant(value=int())
        ):
            return knowledge.type_of(owner) is collections.Counter
        case ast.Continue() | ast.Break() | ast.Pass():
            return True
        case _:
            return False


def number_checked(node: ast.stmt, knowledge: Knowledge) -> ast.expr | None:
    """What is added to a number: if the worker finds a number there, that can't raise."""
    match node:
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add() | ast.Sub(), value=value):
            kind = knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
            return value if kind in (int, float) else None
        case _:
            return None


def operands_of(node: ast.stmt) -> list[ast.expr]:
    """What a simple commit evaluates before it stores or hands over."""
    match node:
        case ast.Expr(value=ast.Call(args=args)):
            return args
        case ast.Assign(targets=targets, value=value):
            return [value, *(t.slice for t in targets if isinstance(t, ast.Subscript))]
        case ast.AugAssign(target=ast.Subscript(slice=key), value=value):
            return [value, key]
        case ast.AugAssign(value=value):
            return [value]
        case _:
            return []


def _may_raise(node: ast.expr) -> bool:
    return not isinstance(node, ast.Name | ast.Constant | ast.List | ast.Tuple)


def hash_checked(node: ast.stmt, knowledge: Knowledge) -> list[ast.expr]:
    """Keys whose hash the worker has to try, so that the commit can't raise for it."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add"), args=[key])):
            return [key]
        case ast.Assign(targets=[ast.Subscript(slice=key)]):
            return [key]
        case ast.AugAssign(target=ast.Subscript(slice=key)):
            return [key]
        case _:
            return []


def slot_keys(nodes: Iterable[ast.AST], knowledge: Knowledge) -> list[ast.expr]:
    """Expressions under which a commit's nodes look something up or keep it, by their value."""
    found: list[ast.expr] = []
    for node in nodes:
        match node:
            case ast.Subscript(slice=key):
                found.append(key)
            case ast.Call(
                func=ast.Attribute(value=owner, attr="add" | "setdefault" | "get"), args=[key, *_]
            ) if not isinstance(knowledge.resolve(owner), types.ModuleType):
                found.append(key)
            case _:
                pass
    return found


def bound_to_keys(nodes: Iterable[ast.AST], names: set[str]) -> list[ast.expr]:
    """What a commit's nodes assign to names under whose values commits look something up."""
    assigned = (n for n in nodes if isinstance(n, ast.Assign))
    return [
        part.value
        for part in assigned
        if any(isinstance(t, ast.Name) and t.id in names for t in part.targets)
    ]


def looked_up(units: Iterable[Unit], knowledge: Knowledge) -> set[str]:
    """Names under whose values units look something up, or keep it."""
    keys = (key for unit in units for key in slot_keys(unit.nodes, knowledge))
    return {key.id for key in keys if isinstance(key, ast.Name)}
