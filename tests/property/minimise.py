"""Makes a counterexample smaller, statement by statement, as long as it stays one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.property.grammar import Cell

BLOCKS = ("body", "orelse", "finalbody")
LIMIT = 400


def minimised(cell: Cell, fails: Callable[[Cell], bool]) -> Cell:
    """The smallest cell found from which no single statement can be taken."""
    tries = 0
    shrinking = True
    while shrinking and tries < LIMIT:
        shrinking = False
        for candidate in _smaller(cell):
            tries += 1
            if fails(candidate):
                cell, shrinking = candidate, True
                break
            if tries >= LIMIT:
                break
    return cell


def _smaller(cell: Cell) -> Iterator[Cell]:
    for setup in _without_lines(cell.setup):
        yield replace(cell, setup=setup)
    for source in _cut(cell.source):
        yield replace(cell, source=source)


def _without_lines(setup: str) -> Iterator[str]:
    """Setups without one of the aliases, which stand below the buffer's line."""
    head, mark, tail = setup.rpartition("buf = io.StringIO()\n")
    lines = tail.splitlines(keepends=True)
    for i in range(len(lines)):
        yield head + mark + "".join(lines[:i] + lines[i + 1 :])


def _cut(source: str) -> Iterator[str]:
    """Each source with one statement gone, replaced by its body, or with a simpler expression."""
    for i in range(len(list(_places(ast.parse(source))))):
        for edit in (_removed, _unwrapped, _without_else):
            tree = ast.parse(source)
            block, at = list(_places(tree))[i]
            if edit(block, at):
                yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    yield from _simpler_expressions(source)


def _places(tree: ast.AST) -> Iterator[tuple[list[ast.stmt], int]]:
    for node in ast.walk(tree):
        for name in BLOCKS:
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield from ((block, i) for i in range(len(block)))


def _removed(block: list[ast.stmt], at: int) -> bool:
    if isinstance(block[at], ast.Pass):
        return False
    block[at : at + 1] = [] if len(block) > 1 else [ast.Pass()]
    return True


def _unwrapped(block: list[ast.stmt], at: int) -> bool:
    body = getattr(block[at], "body", None)
    if not isinstance(body, list) or not isinstance(body[0], ast.stmt):
        return False
    block[at : at + 1] = body
    return True


def _without_else(block: list[ast.stmt], at: int) -> bool:
    for name in ("orelse", "finalbody"):
        if getattr(block[at], name, None):
            setattr(block[at], name, [])
            return bool(getattr(block[at], "handlers", True))
    return False


def _simpler_expressions(source: str) -> Iterator[str]:
    """Each call or operation replaced by its first operand, or by a number."""
    count = sum(1 for _ in _compound(ast.parse(source)))
    for i in range(count):
        for pick in (_operand, _number):
            tree = ast.parse(source)
            parent, name, index, node = list(_compound(tree))[i]
            new = pick(node)
            if new is None:
                continue
            if index is None:
                setattr(parent, name, new)
            else:
                getattr(parent, name)[index] = new
            yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _compound(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    kinds = (ast.Call, ast.BinOp, ast.IfExp, ast.BoolOp, ast.Compare)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, kinds) and not isinstance(parent, ast.Expr):
                yield parent, name, None, value
            elif isinstance(value, list):
                yield from (
                    (parent, name, i, v) for i, v in enumerate(value) if isinstance(v, kinds)
                )


def _operand(node: ast.expr) -> ast.expr | None:
    parts: dict[type[ast.expr], Callable[[Any], ast.expr | None]] = {
        ast.Call: lambda n: n.args[0] if n.args else None,
        ast.BinOp: lambda n: n.left,
        ast.IfExp: lambda n: n.body,
        ast.BoolOp: lambda n: n.values[0],
        ast.Compare: lambda n: n.left,
    }
    part = parts[type(node)](node)
    return None if isinstance(part, ast.Starred) else part


def _number(node: ast.expr) -> ast.expr | None:
    return ast.Constant(1)
