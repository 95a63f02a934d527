"""Objects that the kernel holds too: what a worker sends of them is a copy.

A change of the copy isn't seen in the kernel's object. Where commits change no more than the state
that they name, copies do; where they change what they reach through it (``rows[k].append(x)``),
nothing may be sent that the kernel may hold too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.guard import operands_of
from mpmagic.cell.knowledge import UNKNOWN, bound_names
from mpmagic.cell.probe import is_repeatable
from mpmagic.cell.slices import SliceKind, store_targets
from mpmagic.cell.syntax import children, walk
from mpmagic.cell.tables import is_immutable_type
from mpmagic.cell.unit import Unit

__all__ = ["hands_out", "is_called_twice", "may_alias", "mutates_deeply"]

_SHALLOW: Final = frozenset(
    {"dict", "list", "tuple", "set", "frozenset", "sorted", "max", "min", "next", "copy"}
)
_SHALLOW_METHODS: Final = frozenset({"get", "copy", "values", "items", "keys"})

# Of frames: a store through them is one into the frame itself.
_INDEXERS: Final = frozenset({"loc", "iloc", "at", "iat"})


def may_alias(node: ast.expr, dependence: Dependence) -> bool:
    """Whether the value may be, or hold, an object that the kernel holds too."""
    if isinstance(node, ast.Compare | ast.JoinedStr | ast.Constant | ast.BinOp):
        return False
    for name in dependence.scanner.scan([node]).reads:
        if name in dependence.private:
            continue
        if name in dependence.items:
            if not dependence.knowledge.items_immutable:
                return True
            continue
        value = dependence.knowledge.value(name)
        if value is UNKNOWN:
            kind = dependence.knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
            if not is_immutable_type(kind) and kind is not type:
                return True
        elif not isinstance(value, type) and not is_immutable_type(type(value)):
            return True
    return False


def hands_out(call: ast.Call) -> bool:
    """Whether a call is one that hands out parts of what it is given, and does little else."""
    func = call.func
    if isinstance(func, ast.Attribute):
        return func.attr in _SHALLOW_METHODS
    return isinstance(func, ast.Name) and func.id in _SHALLOW


def is_called_twice(unit: Unit, dependence: Dependence) -> bool:
    """Whether the kernel makes calls of a commit itself which the worker has to make too.

    It does so for the sake of objects that it holds. What the calls print, they would print twice.
    """
    calls = [n for p in operands_of(unit.node) for n in walk(p) if isinstance(n, ast.Call)]
    own = [call for call in calls if may_alias(call, dependence)] if calls else []
    if not own:
        return False
    if mutates_deeply(dependence):
        return True
    own = [call for call in own if hands_out(call)]
    return any(call.keywords or _comes_before_another(call, calls) for call in own)


def _comes_before_another(call: ast.Call, calls: list[ast.Call]) -> bool:
    """Whether the kernel, which makes one call itself, has to make others after it."""
    inside = walk(call)
    return not is_repeatable(call) and any(
        not hands_out(other) and other not in inside for other in calls[calls.index(call) + 1 :]
    )


def mutates_deeply(dependence: Dependence) -> bool:
    """Whether a commit changes objects that it reaches through shared state.

    Then what commits are handed must not be a worker's copy of something that the kernel holds:
    the change would happen to the copy.
    """
    kernel = dependence.kernel.keys()
    mutated = {n for u in dependence.every_unit() for n in u.header.mutates} & kernel
    shallow = {
        id(u.node) for u in dependence.every_unit() if u.mirrored and _into_slot(u, dependence)
    }
    nodes = [n for u in dependence.units for n in _nodes_but(u, shallow)]
    if any(_is_deep(node) for node in nodes):
        return True
    bound = {
        name
        for node in (nodes if mutated else ())
        for target in _targets(node)
        for name in bound_names(target)
    }
    return bool(mutated & bound)


def _into_slot(unit: Unit, dependence: Dependence) -> bool:
    """Whether a mirrored store replaces slots, or goes into the very objects that they hold."""
    for place in store_targets(unit.node):
        assert isinstance(place, ast.Attribute | ast.Subscript)
        owner = place.value
        if isinstance(owner, ast.Subscript) and isinstance(owner.value, ast.Name):
            slot = dependence.slices.get(owner.value.id)
            if slot is not None and slot.kind is SliceKind.SLOT:
                continue
        if not isinstance(owner, ast.Name):
            return False
    return True


def _targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return targets
        case ast.NamedExpr(target=target) | ast.For(target=target):
            return [target]
        case ast.withitem(optional_vars=ast.expr() as target):
            return [target]
        case _:
            return []


def _nodes_but(unit: Unit, left_out: set[int]) -> Iterable[ast.AST]:
    """The nodes of a unit but for some units inside it."""
    if not left_out:
        return unit.nodes
    return _walk_but(unit.node, left_out)


def _walk_but(node: ast.AST, left_out: set[int]) -> Iterator[ast.AST]:
    if id(node) not in left_out:
        yield node
        for child in children(node):
            yield from _walk_but(child, left_out)


def _is_deep(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Subscript() | ast.Call()))):
            return True
        case (
            ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del())
        ):
            place = node.value
            if isinstance(place, ast.Attribute) and place.attr in _INDEXERS:
                place = place.value
            return not isinstance(place, ast.Name)
        case _:
            return False
