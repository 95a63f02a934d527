"""Compound statements around commits: whether they can stay work.

One is a commit as a whole where its control flow hangs on a commit inside it: where that decides
how an inner loop goes on, uses the very object that a ``with`` opens, or may raise where an
exception would change what follows.
"""

from __future__ import annotations

import ast

from mpmagic.cell.aliasing import is_called_twice
from mpmagic.cell.attempt import attempt
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.excinfo import may_look_at_exception
from mpmagic.cell.guard import hash_checked
from mpmagic.cell.jumps import jumps
from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.syntax import children
from mpmagic.cell.unit import Stage, Unit

__all__ = ["check_compound", "commits_in"]


def check_compound(dependence: Dependence, unit: Unit) -> None:
    """Make a compound unit a commit if its control flow hangs on the commits inside it."""
    if isinstance(unit.node, ast.For | ast.While) and _leaks(unit.blocks[0]):
        dependence.commit(unit, "a commit inside it decides how the inner loop goes on")
    elif isinstance(unit.node, ast.Try | ast.TryStar):
        _check_protected(dependence, unit, unit.blocks if unit.node.finalbody else unit.blocks[:1])
        _check_handling(dependence, unit)
    elif isinstance(unit.node, ast.With):
        opened = {n for i in unit.node.items if i.optional_vars for n in bound_names(i)}
        for inner in commits_in(unit.blocks):
            if _needs_object(dependence, inner.node, opened):
                why = f"line {inner.node.lineno}, a commit, uses what it opens"
                dependence.commit(unit, why)
                return
        contexts = [item.context_expr for item in unit.node.items]
        if not all(dependence.managers.raises_past(c) for c in contexts):
            _check_protected(dependence, unit, unit.blocks)


def _needs_object(dependence: Dependence, node: ast.AST, names: set[str]) -> bool:
    """Whether a commit uses the very object of one of `names`, not a value made of it."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.expr):
        if not dependence.touches_kernel(dependence.scanner.scan([node])):
            return False  # computed in the worker
    return any(_needs_object(dependence, child, names) for child in children(node))


def _check_protected(dependence: Dependence, unit: Unit, blocks: list[list[Unit]]) -> None:
    """An exception of a commit under ``try`` or ``with`` would change what follows."""
    for inner in commits_in(blocks):
        if inner.mirrored:
            continue  # the worker's own store raises first, where the handlers are
        if not dependence.surely_commits(inner) or is_called_twice(inner, dependence):
            kind = type(unit.node).__name__.lower().removesuffix("star")
            line, at = inner.node.lineno, unit.node.lineno
            _leave_to_kernel(
                dependence, unit, f"line {line} may raise under the `{kind}` of line {at}"
            )
            return
        dependence.protected.add(inner)
        if isinstance(unit.node, ast.Try) and _past_handlers(dependence, unit.node):
            continue
        dependence.checked_keys[inner] = hash_checked(inner.node, dependence.knowledge)


def _check_handling(dependence: Dependence, unit: Unit) -> None:
    """A commit of a handler that looks at the exception needs it to be handled in the kernel."""
    assert isinstance(unit.node, ast.Try | ast.TryStar)
    if unit.attempted or unit.stage is Stage.COMMIT:
        return
    for inner in commits_in(unit.blocks[1 : 1 + len(unit.node.handlers)]):
        if may_look_at_exception(inner.node, dependence):
            why = f"line {inner.node.lineno}, a commit, may look at the exception being handled"
            _leave_to_kernel(dependence, unit, why)
            return


def _leave_to_kernel(dependence: Dependence, unit: Unit, why: str) -> None:
    """Make a statement a commit, or of a ``try`` all but its beginning."""
    # With `--ahead` the pieces of the whole statement are run.
    tries = isinstance(unit.node, ast.Try) and not dependence.allowances.ahead
    if not tries or not attempt(dependence, unit, why):
        dependence.commit(unit, why)


def _past_handlers(dependence: Dependence, node: ast.Try) -> bool:
    """Whether what a key that can't be hashed raises isn't caught here."""
    if node.finalbody:
        return False
    types = [dependence.knowledge.resolve(h.type) for h in node.handlers if h.type is not None]
    known = len(types) == len(node.handlers)
    return known and all(isinstance(t, type) and not issubclass(TypeError, t) for t in types)


def commits_in(blocks: list[list[Unit]]) -> list[Unit]:
    """The outermost commits inside blocks."""
    found: list[Unit] = []
    for block in blocks:
        for unit in block:
            if unit.stage is Stage.COMMIT:
                found.append(unit)
            else:
                found += commits_in(unit.blocks)
    return found


def _leaks(units: list[Unit]) -> bool:
    """Whether a commit among the units leaves the loop around them, or its iteration."""
    for unit in units:
        if unit.stage is Stage.COMMIT:
            if jumps(unit.node):
                return True
        elif isinstance(unit.node, ast.For | ast.While):
            if _leaks(unit.blocks[1]):
                return True
        elif any(_leaks(block) for block in unit.blocks):
            return True
    return False
