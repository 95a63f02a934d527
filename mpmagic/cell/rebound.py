"""Names that an iteration binds before it reads them: the notebook doesn't say what they are.

What it has under them may be of another type, from an earlier run or from another cell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mpmagic.cell.flow import Flow
from mpmagic.cell.knowledge import Bound, Knowledge, bound_names
from mpmagic.cell.managers import Managers
from mpmagic.cell.syntax import walk

__all__ = ["bound_in"]


def bound_in(loop: ast.For, knowledge: Knowledge) -> Bound:
    """The names that a loop binds, and those of which other things are known."""
    targets = bound_names(loop.target)
    iterated = {n.id for n in walk(loop.iter) if isinstance(n, ast.Name)}
    bound = targets.union(*map(bound_names, loop.body))
    first = {name for name in bound - iterated if knowledge.defined(name)}
    first -= _only_added_to(loop.body) if first - targets else set()
    if first <= targets:
        return Bound(bound, first)
    flow = Flow(_nothing, _nothing, Managers(knowledge, loop.body, targets).may_suppress)
    flow.iteration(loop.body, targets)
    return Bound(bound, first - flow.exposed.keys())


def _only_added_to(body: list[ast.stmt]) -> set[str]:
    """Names that are bound by nothing but augmented assignments, which read them first."""
    added = [n.target for n in walk(*body) if isinstance(n, ast.AugAssign)]
    apart = set(map(id, added))
    stored = (n for n in walk(*body) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    names = {target.id for target in added if isinstance(target, ast.Name)}
    return names - {name.id for name in stored if id(name) not in apart} if names else names


def _nothing(_: ast.AST) -> Iterable[str]:
    return ()
