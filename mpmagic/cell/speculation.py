"""Pieces of a commit that the worker runs ahead, though the kernel may never reach them.

In ``if k not in cache: cache[k] = slow(k)`` only the kernel can tell whether `slow` is called. With
``--ahead`` the worker calls it all the same, and sends its outcome: the value or the exception, and
what was written meanwhile. The kernel takes the outcome where it reaches the call, once at most;
elsewhere nothing of it is seen.

A piece is an expression, or statements that follow each other and touch nothing of the kernel's.
What they bind the worker keeps under names of its own, one for each piece, so that later pieces
of the same block find it: such a shadow holds as long as the kernel must have passed that piece.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from mpmagic.cell.aliasing import may_alias
from mpmagic.cell.collector import own_names
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import FIGURE, Effects
from mpmagic.cell.guard import looked_up, slot_keys
from mpmagic.cell.jumps import jumps
from mpmagic.cell.seeds import new_flow
from mpmagic.cell.site import Piece
from mpmagic.cell.syntax import copied, unannotated, walk
from mpmagic.cell.unit import Unit
from mpmagic.cell.worth import is_heavy_itself

__all__ = ["AHEAD", "Sent", "Speculation"]

_Node = TypeVar("_Node", bound=ast.AST)

AHEAD: Final = ".ahead"
"""In the worker: keeps the outcomes of pieces."""

_KINDS: Final = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.If, ast.For, ast.While,
                 ast.With, ast.Try)  # fmt: skip
# What binds or unbinds names otherwise than by storing into them.
_BINDING: Final = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
                   ast.Delete, ast.Global, ast.Match, ast.Return)  # fmt: skip


class Sent(NamedTuple):
    """A piece as the worker sends it.

    Attributes
    ----------
    outcome
        The worker's name for its outcome.
    shown
        What of it a message shows.
    piece
        What the kernel does with the outcome.
    """

    outcome: ast.expr
    shown: ast.expr
    piece: Piece


class Speculation:
    """The pieces of one commit.

    Parameters
    ----------
    dependence
        The loop's stages.
    unit
        The commit.
    site
        The number of its site.
    fresh_only
        Whether nothing may be sent that the kernel may hold too, see `aliasing.mutates_deeply`.

    Attributes
    ----------
    made
        What the worker runs before the commit's line in the log.
    nodes
        The pieces as they stand in the source.
    """

    def __init__(self, dependence: Dependence, unit: Unit, site: int, *, fresh_only: bool) -> None:
        self.made: list[ast.stmt] = []
        self.nodes: list[ast.AST] = []
        self._dependence = dependence
        self._site = site
        self._fresh_only = fresh_only
        self._keys = {ast.dump(key) for key in slot_keys(unit.nodes, dependence.knowledge)}
        self._count = 0
        self._shadows: dict[str, str] = {}
        # The outcome of the last piece of statements that the kernel has passed by here.
        self._passed = ""

    @contextmanager
    def block(self) -> Iterator[None]:
        """What is found inside a block holds only there."""
        before = dict(self._shadows), self._passed
        yield
        self._shadows, self._passed = before

    def forget(self, unit: Unit) -> None:
        """The kernel has run a unit itself: what that changes, the worker has no more."""
        effects, dependence = unit.whole(), self._dependence
        if any(not m.shallow for m in effects.mutates.values()):
            self._shadows.clear()  # through which paths the objects are reached, nobody knows
        changed = {root for n in effects.mutates for root in dependence.alias_roots(n)}
        for name in [*self._shadows]:
            if name in effects.binds or not changed.isdisjoint(dependence.alias_roots(name)):
                del self._shadows[name]

    # -- expressions ---------------------------------------------------------------------------

    def takes(self, node: ast.expr) -> bool:
        """Whether an expression can be a piece, and is worth it."""
        if isinstance(node, ast.GeneratorExp) or not _is_worth(node):
            return False
        effects = self._dependence.scanner.scan([node])
        if effects.binds or effects.mutates or _is_the_kernels(effects):
            return False
        return self._may_read(effects, set(effects.reads), [node])

    def expression(self, node: ast.expr) -> Sent:
        """Make a piece of an expression."""
        outcome = self._next_outcome()
        value = f"{outcome}="
        reads = set(self._dependence.scanner.scan([node]).reads)
        kept = ast.Assign(targets=[_name(value, ast.Store())], value=_renamed(node, self._shadows))
        self.made += self._run(outcome, [ast.copy_location(kept, node)], [value], reads)
        self.nodes.append(node)
        keyed = ast.dump(node) in self._keys
        return Sent(_name(outcome), node, Piece(("",), frozenset({""} if keyed else ())))

    # -- statements ----------------------------------------------------------------------------

    def leading(self, units: Sequence[Unit]) -> list[Unit]:
        """Those of the first units that make up a piece; none if they don't."""
        run: list[Unit] = []
        length, definite, named = 0, set[str](), set[str]()
        for unit in units:
            end = self._fits(unit, definite, named)
            if end is None:
                break
            definite, named = end, named | unit.whole().binds.keys()
            run.append(unit)
            if _is_worth(unit.node):
                length = len(run)
        return run[:length]

    def statements(self, run: list[Unit]) -> Sent:
        """Make a piece of statements."""
        outcome = self._next_outcome()
        names = sorted({n for unit in run for n in unit.whole().binds})
        own = {name: f"{outcome}.{name}" for name in names}
        held = self._shadows | own
        body: list[ast.stmt] = [
            ast.Assign(targets=[_name(own[name], ast.Store())], value=_name(self._shadows[name]))
            for name in names
            if name in self._shadows
        ]
        body += [unannotated(_renamed(unit.node, held)) for unit in run]
        flow = new_flow(self._dependence)
        definite = flow.part([unit.node for unit in run], set()) or set()
        self.made += self._run(outcome, body, [*own.values()], set(flow.exposed))
        self._shadows = {n: s for n, s in held.items() if n in definite or n not in own}
        self._passed = outcome
        self.nodes += [unit.node for unit in run]
        piece = Piece(
            tuple(names),
            frozenset(looked_up(self._dependence.units, self._dependence.knowledge) & set(names)),
        )
        return Sent(_name(outcome), _heaviest(run), piece)

    def _fits(self, unit: Unit, definite: set[str], named: set[str]) -> set[str] | None:
        """The names bound for sure after a unit, as part of a piece; None if it can't be one.

        Parameters
        ----------
        unit
            The unit.
        definite, named
            Names that the units before it in the piece have bound for sure, or perhaps.
        """
        effects, dependence = unit.whole(), self._dependence
        if not isinstance(unit.node, _KINDS) or jumps(unit.node) or _is_the_kernels(effects):
            return None
        if any(u.guarded for u in unit.walk()) or any(map(_binds_otherwise, unit.nodes)):
            return None
        binds = effects.binds.keys()
        stored = {n.id for n in unit.nodes if isinstance(n, ast.Name)}
        if binds - stored or binds & dependence.targets:
            return None
        flow = new_flow(dependence)
        end = flow.part([unit.node], set(definite))
        own, before = named | binds, flow.exposed.keys()
        if end is None or not self._may_read(effects, set(before), unit.nodes, own):
            return None
        for name in effects.mutates:
            if name in before or not dependence.alias_roots(name) <= own:
                return None
        return end

    # -- what both have in common --------------------------------------------------------------

    def _may_read(
        self,
        effects: Effects,
        before: set[str],
        nodes: Sequence[ast.AST],
        own: Set[str] = frozenset(),
    ) -> bool:
        """Whether the worker has all of `before` that a piece reads, which binds `own`."""
        dependence, held = self._dependence, own | self._shadows.keys()
        kernel = dependence.kernel.keys() | {FIGURE}
        if before & kernel - self._shadows.keys():
            return False
        spelt = {n.id for root in nodes for n in walk(root) if isinstance(n, ast.Name)}
        hidden = effects.unspelt(spelt)
        if hidden & (kernel | own):
            return False
        inner = (n for root in nodes for n in walk(root) if isinstance(n, ast.Lambda))
        if any(own_names(function) & held for function in inner):
            return False
        names = (ast.Name(id=name, ctx=ast.Load(), lineno=0) for name in before)
        return not (self._fresh_only and any(may_alias(name, dependence) for name in names))

    def _next_outcome(self) -> str:
        self._count += 1
        return f".{self._site}:{self._count}"

    def _run(
        self, outcome: str, body: list[ast.stmt], values: list[str], reads: set[str]
    ) -> list[ast.stmt]:
        """The worker's statements that run a piece and keep its outcome.

        Private names and shadows that it reads are watched: it must leave them as they are, for
        the kernel may pass it over.
        """
        private = sorted(reads & self._dependence.private)
        shadows = sorted(self._shadows[name] for name in reads & self._shadows.keys())
        watched = ast.Tuple(elts=[ast.Constant(name) for name in private], ctx=ast.Load())
        given = [_name(value) for value in values]
        keep, at = _name(outcome, ast.Store()), body[-1]
        failed = ast.Assign(targets=[keep], value=_call("failed", *given))
        done = ast.Assign(targets=[keep], value=_call("done", *given))
        unbound = [_name(value, ast.Store()) for value in values]
        run: list[ast.stmt] = [
            *(ast.Assign(targets=[name], value=_attribute("unbound")) for name in unbound),
            ast.Expr(value=_call("begin", watched, *map(_name, shadows))),
            ast.Try(
                body=body,
                handlers=[ast.ExceptHandler(type=None, name=None, body=[failed])],
                orelse=[done],
                finalbody=[],
            ),
        ]
        if self._passed:  # the kernel doesn't come here if that has failed
            fine = ast.Attribute(value=_name(self._passed), attr="fine", ctx=ast.Load())
            missed = ast.Assign(targets=[keep], value=_attribute("unreached"))
            run = [ast.If(test=fine, body=run, orelse=[missed])]
        return [ast.copy_location(statement, at) for statement in run]


def _is_the_kernels(effects: Effects) -> bool:
    """Whether only the kernel can do it, or draws from random streams would change places."""
    return bool(effects.kernel_only or effects.draws or effects.refusals)


def _binds_otherwise(node: ast.AST) -> bool:
    return isinstance(node, _BINDING) or (
        isinstance(node, ast.ExceptHandler) and node.name is not None
    )


def _is_worth(node: ast.AST) -> bool:
    """Whether there is something to compute; to write is the kernel's as well."""
    calls = [n for n in walk(node) if is_heavy_itself(n)]
    return any(not _prints(call) for call in calls)


def _prints(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"


def _heaviest(run: list[Unit]) -> ast.expr:
    """What of a piece is worth a worker, for messages."""
    calls = [n for unit in run for n in unit.nodes if is_heavy_itself(n) and not _prints(n)]
    assert isinstance(calls[0], ast.expr)
    return calls[0]


def _renamed(node: _Node, names: Mapping[str, str]) -> _Node:
    """A copy in which names that the worker holds under others are those."""
    changed = copied(node)
    for inner in walk(changed):
        if isinstance(inner, ast.Name):
            inner.id = names.get(inner.id, inner.id)
    return changed


def _name(identifier: str, context: ast.expr_context | None = None) -> ast.Name:
    return ast.Name(id=identifier, ctx=context or ast.Load())


def _attribute(name: str) -> ast.expr:
    return ast.Attribute(value=_name(AHEAD), attr=name, ctx=ast.Load())


def _call(method: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(func=_attribute(method), args=list(arguments), keywords=[])
