"""The kernel's half of a comprehension: another one, over the operands that come back."""

from __future__ import annotations

import ast
import copy
from typing import NamedTuple

from mpmagic.cell.comprehension import Comprehension
from mpmagic.cell.syntax import copied, walk
from mpmagic.cell.vocabulary import EVENT, EVENTS

__all__ = ["Collected"]


class Collected(NamedTuple):
    """What the kernel makes of the events of a comprehension's iterations.

    Attributes
    ----------
    sites
        Its form of each site: of the element with its operands hoisted, of what is probed before
        these, and of what was drawn ahead.
    element
        The number of the element's.
    """

    sites: list[ast.stmt]
    element: int

    def comprehension(self, node: Comprehension, run: ast.expr) -> Comprehension:
        """The kernel's half: a comprehension of the same kind over the rows that come back.

        Parameters
        ----------
        node
            The comprehension as it was written.
        run
            What runs it: its `rows` are pairs of an item and an event, its `events` say what
            was drawn ahead.
        """
        target = ast.Tuple(
            elts=[copied(node.generators[0].target), ast.Name(id=EVENT, ctx=ast.Store())],
            ctx=ast.Store(),
        )
        rows = ast.Call(ast.Attribute(run, "rows", ast.Load()), args=[], keywords=[])
        kernel = copy.copy(node)
        kernel.generators = [ast.comprehension(target, rows, self._tests(run), is_async=0)]
        value = _value(self.sites[self.element])
        assert isinstance(value, ast.Tuple)
        if isinstance(kernel, ast.DictComp):
            kernel.key, kernel.value = value.elts
        else:
            (kernel.elt,) = value.elts
        return kernel

    def _tests(self, run: ast.expr) -> list[ast.expr]:
        """Do what stands for the other events, and let only the element's through.

        ``.event[0] == 0 or .event[0] == 1 and (table[x], False)[-1]``
        """
        others = [number for number in range(len(self.sites)) if number != self.element]
        if not others:
            return []
        done = [ast.BoolOp(ast.And(), [_is_of(n), _done(self.sites[n], run)]) for n in others]
        return [ast.BoolOp(ast.Or(), [_is_of(self.element), *done])]


def _done(site: ast.stmt, run: ast.expr) -> ast.expr:
    """False, once what stands for an event has been evaluated."""
    events = ast.Attribute(run, "events", ast.Load())
    asked = {id(n): events for n in walk(site) if isinstance(n, ast.Name) and n.id == EVENTS}
    parts = ast.Tuple([_value(copied(site, asked)), ast.Constant(False)], ast.Load())
    return ast.Subscript(parts, ast.Constant(-1), ast.Load())


def _value(site: ast.stmt) -> ast.expr:
    assert isinstance(site, ast.Expr | ast.Assign)
    return site.value


def _is_of(site: int) -> ast.expr:
    number = ast.Subscript(ast.Name(EVENT, ast.Load()), ast.Constant(0), ast.Load())
    return ast.Compare(number, [ast.Eq()], [ast.Constant(site)])
