"""The worker's half of a split loop: the body with each commit replaced by a line in the log."""

from __future__ import annotations

import ast
import copy

from mpmagic.cell.replay import drawn_again
from mpmagic.cell.site import site_of
from mpmagic.cell.sites import Sites
from mpmagic.cell.syntax import copied, loaded, set_blocks, unannotated
from mpmagic.cell.unit import Stage, Unit
from mpmagic.cell.vocabulary import BREAK, DELETED
from mpmagic.cell.workcode import (
    FAILED,
    ITEMS,
    LOG,
    bound_now,
    call,
)  # fmt: skip

__all__ = ["Sending"]


class Sending(Sites):
    """Writes the worker's half of a loop whose stages are known; see `Sites` for what it tells."""

    def loop(self, loop: ast.For) -> ast.stmt:
        """The worker's loop over the items."""
        body = self._block(self._dependence.units, inner=False)
        self.described = self._spared()
        if self.speculates:
            failed = ast.Expr(value=ast.Call(func=loaded(FAILED, loop), args=[], keywords=[]))
            handler = ast.ExceptHandler(type=None, name=None, body=[failed])
            body = [ast.Try(body=body, handlers=[handler], orelse=[], finalbody=[])]
        return ast.For(target=loop.target, iter=loaded(ITEMS, loop), body=body, orelse=[])

    def _block(self, units: list[Unit], *, inner: bool) -> list[ast.stmt]:
        """Units as the worker runs them; `inner` if inside a loop within the loop."""
        statements: list[ast.stmt] = []
        for unit in units:
            if unit.stage is Stage.COMMIT:
                statements += self._site(unit)
            elif unit.stage is Stage.PREPARE:
                statements += self._prepared(unit)
            elif unit.attempted:
                tried = unit.first_work()
                begun = self._block(tried, inner=inner) if tried else []
                statements += self._attempt(unit, begun)
            elif unit.blocks:
                statements.append(self._compound(unit, inner=inner))
            else:
                self.substantial |= unit.header.substantial
                statements += self._simple(unit.node, inner=inner)
        return statements or [ast.Pass()]

    def _prepared(self, unit: Unit) -> list[ast.stmt]:
        """What runs ahead, as the worker runs it, and the line in the log for the kernel to."""
        number, draw = len(self.sites), self._dependence.draws.get(id(unit.node))
        described = site_of(unit, (), self._dependence, fails=draw is not None)
        self.described.append(described)
        self.prepared.add(number)
        event: list[ast.expr] = [ast.Constant(number)]
        if described.state:
            event.append(bound_now(described.unsure, described.changed))
        log = ast.copy_location(call(LOG, ast.Tuple(elts=event, ctx=ast.Load())), unit.node)
        if draw is None:
            self.sites.append(unannotated(copied(unit.node)))
            return [unannotated(unit.node), log]
        index = self._dependence.prepared.draws.index(draw)
        self.sites.append(drawn_again(index, draw, unit.node))
        return [log]

    def _compound(self, unit: Unit, *, inner: bool) -> ast.stmt:
        self.substantial |= unit.header.substantial
        node = copy.copy(unit.node)
        is_loop = isinstance(node, ast.For | ast.While)
        blocks = [
            self._block(block, inner=inner or (is_loop and i == 0)) if block else []
            for i, block in enumerate(unit.blocks)
        ]
        set_blocks(node, blocks)
        return node

    def _simple(self, node: ast.stmt, *, inner: bool) -> list[ast.stmt]:
        match node:
            case ast.Break() if not inner:
                event = ast.Tuple(elts=[ast.Constant(BREAK)], ctx=ast.Load())
                if self.speculates:  # the kernel may pass over it: the next iteration follows
                    leave = ast.copy_location(ast.Continue(), node)
                    return [ast.copy_location(call(LOG, event), node), leave]
                return [ast.copy_location(call(LOG, event), node), node]
            case ast.Delete():
                names = [target for target in node.targets if isinstance(target, ast.Name)]
                return [node, *map(_deleted, names)]
            case ast.Global():
                return [ast.copy_location(ast.Pass(), node)]
            case ast.AnnAssign(target=ast.Name()):
                return [unannotated(node)]
            case _:
                return [node]


def _deleted(name: ast.Name) -> ast.stmt:
    event: list[ast.expr] = [ast.Constant(DELETED), ast.Constant(name.id)]
    return ast.copy_location(call(LOG, ast.Tuple(elts=event, ctx=ast.Load())), name)
