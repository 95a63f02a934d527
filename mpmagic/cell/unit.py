"""The units into which a loop's body is cut: statements, and the blocks inside them."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from mpmagic.cell.effects import Effects
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.syntax import walk

__all__ = ["Stage", "Unit", "blocks_of", "cut"]


class Stage(enum.Enum):
    """Where a unit runs."""

    WORK = "work"
    COMMIT = "commit"
    PREPARE = "prepare"


@dataclass(eq=False)
class Unit:
    """A statement of the body.

    Attributes
    ----------
    node
        The statement.
    header
        What it does itself; for a compound statement without its blocks.
    blocks
        The units of each of its blocks, in the order of the source.
    stage
        Where it runs: a compound statement that is a commit is one as a whole.
    why
        What made it a commit, or lets it run ahead, in words.
    guarded
        Whether it runs only if shared state says so: then none of it may run ahead.
    mirrored
        Whether the worker does it too, on its copies of sliced state.
    attempted
        Whether it's a ``try`` of which the worker runs the beginning, and the kernel the rest.
    is_locked
        Whether it's a ``with`` that enters a lock which the workers enter too.
    sent
        Of a commit, what a worker computes for it.
    """

    node: ast.stmt
    header: Effects
    blocks: list[list[Unit]] = field(default_factory=list)
    stage: Stage = Stage.WORK
    why: str = ""
    guarded: bool = False
    mirrored: bool = False
    attempted: bool = False
    is_locked: bool = False
    sent: list[ast.expr] = field(default_factory=list)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """The statement and all nodes inside it."""
        return walk(self.node)

    @cached_property
    def spelt(self) -> set[str]:
        """The names that the statement spells out."""
        return {node.id for node in self.nodes if isinstance(node, ast.Name)}

    @property
    def deletes(self) -> set[str]:
        """The names that the statement unbinds."""
        targets = self.node.targets if isinstance(self.node, ast.Delete) else []
        return {target.id for target in targets if isinstance(target, ast.Name)}

    def walk(self) -> Iterator[Unit]:
        """This unit and those inside it."""
        yield self
        for block in self.blocks:
            for unit in block:
                yield from unit.walk()

    def first_work(self) -> list[Unit]:
        """The units at the beginning of the first block, up to the first that holds a commit."""
        commits = [any(u.stage is Stage.COMMIT for u in unit.walk()) for unit in self.blocks[0]]
        return self.blocks[0][: [*commits, True].index(True)]

    def whole(self) -> Effects:
        """What the unit does, its blocks included."""
        if not self.blocks:
            return self.header
        effects = Effects()
        for unit in self.walk():
            effects.absorb(unit.header)
        return effects


def blocks_of(node: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement; empty for a simple one."""
    match node:
        case ast.If() | ast.While() | ast.For():
            return [node.body, node.orelse]
        case ast.With():
            return [node.body]
        case ast.Try() | ast.TryStar():
            return [node.body, *(h.body for h in node.handlers), node.orelse, node.finalbody]
        case ast.Match():
            return [case.body for case in node.cases]
        case _:
            return []


def cut(statements: list[ast.stmt], scanner: Scanner) -> list[Unit]:
    """Cut statements into units, each with its effects."""
    return [_cut_one(statement, scanner) for statement in statements]


def _cut_one(node: ast.stmt, scanner: Scanner) -> Unit:
    blocks = blocks_of(node)
    if not blocks:
        return Unit(node, scanner.scan([node]))
    header = scanner.scan_header(node)
    with scanner.holding(node):
        inner = [cut(block, scanner) for block in blocks]
    return Unit(node, header, inner, is_locked=bool(header.enters))
