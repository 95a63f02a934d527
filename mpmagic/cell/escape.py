"""Objects that a commit puts into shared state, where later commits may change them.

After ``out.append(t)`` the list holds the very object of `t`, and ``out[-1].append(n)`` changes it.
Work that reads `t` then would read the worker's copy, which nobody has changed. How deep inside the
shared state an object is put, and how deep a commit reaches into it, tells whether the two meet.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.paths import root_of
from mpmagic.cell.slices import store_targets
from mpmagic.cell.syntax import children
from mpmagic.cell.unit import Stage, Unit

__all__ = ["keep_escaped"]


def keep_escaped(dependence: Dependence) -> None:
    """Make the kernel's what a commit puts where others may change it while work still reads it."""
    order = dependence.every_unit()
    reaching = [u for u in order if u.stage is Stage.COMMIT and not u.blocks and u.header.mutates]
    for i, unit in enumerate(order):
        if unit.stage is not Stage.COMMIT or unit.blocks:
            continue
        for name, root, depth in _put(dependence, unit):
            captured = name not in dependence.whole.binds and name not in dependence.targets
            following = dependence.following(order, i)
            for other in reaching if captured else [u for u in following if u in reaching]:
                if not _reaches(dependence, other, root, depth):
                    continue
                later = order if captured else following
                if any(u.stage is Stage.WORK and name in u.header.reads for u in later):
                    line, at = unit.node.lineno, other.node.lineno
                    why = f"line {line} puts `{name}` into `{root}`, in which line {at} changes it"
                    dependence.kernel.setdefault(name, why)


def _put(dependence: Dependence, unit: Unit) -> Iterator[tuple[str, str, int]]:
    """Names whose objects a commit puts into shared state, into which, and how deep."""
    for node in unit.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            places: list[ast.expr] = [node.func]
            values = [*node.args, *(k.value for k in node.keywords)]
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value:
            places, values = store_targets(node), [node.value]
        else:
            continue
        for place in places:
            root = root_of(place)
            if root is None or root not in dependence.kernel:
                continue
            for name in {n for value in values for n in _held(value)}:
                if name not in dependence.kernel:
                    yield name, root, _steps(place)


def _held(value: ast.expr) -> Iterator[str]:
    """Names whose very objects a value is, or holds in a display."""
    if isinstance(value, ast.Name):
        yield value.id
    elif isinstance(value, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Starred):
        for part in children(value):
            if isinstance(part, ast.expr):
                yield from _held(part)


def _reaches(dependence: Dependence, unit: Unit, root: str, depth: int) -> bool:
    """Whether a commit may change what lies that deep inside `root`."""
    for name, mutation in unit.header.mutates.items():
        if name == root:
            # In `d[k] += v` it's the object in the slot that may be changed.
            in_slot = isinstance(unit.node, ast.AugAssign)
            if _depth_of(mutation.node) + in_slot >= depth:
                return True
        elif root in dependence.alias_roots(name):
            return True
    return False


def _depth_of(place: ast.AST) -> int:
    """How many steps lead from the name to the object that is changed."""
    owner = place.func if isinstance(place, ast.Call) else place
    return max(_steps(owner) - 1, 0)


def _steps(node: ast.AST) -> int:
    steps = 0
    while isinstance(node, ast.Attribute | ast.Subscript):
        node, steps = node.value, steps + 1
    return steps
