"""Names that an iteration binds before it reads them: the notebook doesn't say what they are.

They may hold something of another type from an earlier cell. What they stand for in the body is
known only as far as the statements that bind them show it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mpmagic.cell.flow import Flow
from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.managers import Managers
from mpmagic.cell.syntax import walk

__all__ = ["kinds_of_rebound"]


def kinds_of_rebound(loop: ast.For, knowledge: Knowledge) -> dict[str, type | None]:
    """The type of each such name, None where it isn't known."""
    targets = bound_names(loop.target)
    managers = Managers(knowledge, loop.body, targets)
    flow = Flow(_nothing, _nothing, managers.may_suppress)
    flow.iteration(loop.body, targets)
    bound = {name for statement in loop.body for name in bound_names(statement)}
    iterated = {n.id for n in walk(loop.iter) if isinstance(n, ast.Name)}
    first = (bound | targets) - flow.exposed.keys() - iterated
    found: dict[str, type | None] = dict.fromkeys(first)
    with knowledge.inside(found):
        kinds = _assigned(loop.body, knowledge)
    return {name: kinds.get(name) for name in found}


def _nothing(_: ast.AST) -> Iterable[str]:
    return ()


def _assigned(body: list[ast.stmt], knowledge: Knowledge) -> dict[str, type | None]:
    """Types of names that are only ever bound by assignments of values of one known type."""
    kinds: dict[str, set[type | None]] = {}
    nodes = walk(*body)
    plain = {
        id(node.targets[0])
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                kinds.setdefault(name, set()).add(knowledge.type_of(value))
            case ast.Name(id=name) if not isinstance(node.ctx, ast.Load):
                if id(node) not in plain:
                    kinds.setdefault(name, set()).add(None)
            case ast.alias() | ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
                for name in bound_names(node):
                    kinds.setdefault(name, set()).add(None)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.MatchMapping():
                for name in bound_names(node):
                    kinds.setdefault(name, set()).add(None)
            case _:
                pass
    return {name: next(iter(found)) for name, found in kinds.items() if len(found) == 1}
