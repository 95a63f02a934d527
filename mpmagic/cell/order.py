"""Order within an iteration: what a commit does must come before the work that depends on it.

Work that runs only if a commit lets the iteration go on is a commit itself. A temporary that a
commit was handed is the kernel's if work touches it later. Work that may read what a commit has
written outside comes after it.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from typing import Final

from mpmagic.cell import tables
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.handling import Handling, handling
from mpmagic.cell.jumps import jumps
from mpmagic.cell.knowledge import UNKNOWN
from mpmagic.cell.sliced import give_up_slices
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Stage, Unit

__all__ = ["guard", "keep_order", "keep_outside_order"]

_WRITING: Final = frozenset(
    {"savefig", "save", "savez", "savetxt", "dump", "write_text", "write_bytes", "to_csv",
     "to_parquet", "to_json", "to_pickle", "write", "writelines", "flush", "close", "commit"}
)  # fmt: skip
_READING: Final = frozenset(
    {"open", "read_text", "read_bytes", "imread", "load", "loadtxt", "read_csv", "read_parquet",
     "read_json", "read_pickle", "stat", "exists", "getsize", "listdir", "glob", "iterdir", "run",
     "check_output"}
)  # fmt: skip


def guard(dependence: Dependence, units: list[Unit], why: str) -> str:
    """Make a commit of whatever runs only if a commit before it lets the iteration go on."""
    for unit in units:
        if why:
            for inner_unit in unit.walk():
                inner_unit.guarded = True
            if unit.stage is Stage.WORK or unit.mirrored:
                give_up_slices(dependence, unit, why)
                dependence.commit(unit, why)
        if unit.stage is Stage.COMMIT:
            if jumps(unit.node):
                why = why or _guard_reason(dependence, unit)
            continue
        inner = ""
        if not isinstance(unit.node, ast.For | ast.While):
            for block in unit.blocks:
                inner = guard(dependence, block, why) or inner
        why = why or inner
    return why


def _guard_reason(dependence: Dependence, unit: Unit) -> str:
    return f"it runs only if line {unit.node.lineno} lets the iteration go on; {unit.why}"


def keep_order(dependence: Dependence) -> None:
    """A temporary that a commit was handed must not change, or be changed, behind its back."""
    order = dependence.every_unit()
    for i, unit in enumerate(order):
        if unit.stage is not Stage.COMMIT:
            continue
        for name, handled in _handed(dependence, unit):
            names = _leading_to(dependence, name)
            later = dependence.following(order, i)
            if handled is not Handling.CHANGED:
                later = [u for u in later if u.stage is Stage.WORK]
            storing = handled in (Handling.KEY, Handling.KEPT)
            if any(_conflicts(u, names, storing=storing) for u in later):
                why = f"line {unit.node.lineno}, a commit, was handed `{name}`"
                dependence.kernel.setdefault(name, why)


def keep_outside_order(dependence: Dependence) -> None:
    """Work that may read what a commit before it has written outside must come after it."""
    written = 0
    for unit in dependence.every_unit():
        names = {
            f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")
            for n in (unit.nodes if not unit.blocks else ())
            if isinstance(n, ast.Call)
            for f in [n.func]
        }
        if unit.stage is Stage.COMMIT and names & _WRITING:
            written = written or unit.node.lineno
        elif written and names & _READING:
            unit.guarded = True  # none of it may run ahead of that commit
            if unit.stage is Stage.WORK:
                dependence.commit(
                    unit, f"it may read what line {written}, a commit, writes outside"
                )


def _leading_to(dependence: Dependence, name: str) -> set[str]:
    """`name` and the names whose values may be taken from it."""
    bound = (*dependence.whole.binds, *dependence.targets)
    return {n for n in bound if name in dependence.alias_roots(n)} | {name}


def _handed(dependence: Dependence, unit: Unit) -> Iterator[tuple[str, Handling]]:
    """Private names and items whose very object a commit gets, and what it does with it."""
    if isinstance(unit.node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match):
        return  # its header's operands are values; what is inside is visited by itself
    calls = [n for n in unit.nodes if isinstance(n, ast.Call)]
    names = dependence.private | dependence.items if calls else ()
    for call in calls:
        values = [*call.args, *(k.value for k in call.keywords)]
        parts = [v.value if isinstance(v, ast.Starred) else v for v in values]
        given = [p.id for p in parts if isinstance(p, ast.Name) and p.id in names]
        callee = dependence.knowledge.resolve(call.func)
        if not given or (callee is not UNKNOWN and tables.never_mutates_arguments(callee)):
            continue
        if not dependence.touches_kernel(dependence.scanner.scan([call])):
            continue
        keeps = _keeps_only(dependence, call)
        for name in given:
            if name in dependence.items and dependence.knowledge.items_immutable:
                continue
            handled = Handling.KEPT if keeps else handling(call, name, dependence.knowledge)
            if handled is Handling.UNKNOWN and name in _streams(dependence):
                handled = Handling.CHANGED  # whoever gets a file in memory writes to it, or reads
            if handled is not Handling.LOOKED_AT:
                yield name, handled


def _streams(dependence: Dependence) -> set[str]:
    """Names of files in memory that an iteration makes."""
    made: set[str] = set()
    for node in walk(*dependence.body):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(func)):
                pass
            case ast.withitem(ast.Call(func), ast.Name(name)):
                pass
            case _:
                continue
        kind = dependence.knowledge.resolve(func)
        if isinstance(kind, type) and issubclass(kind, io.IOBase):
            made.add(name)
    return made


def _keeps_only(dependence: Dependence, call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    kind = dependence.knowledge.type_of(call.func.value)
    if kind in (list, set, dict) or call.func.attr in ("append", "add"):
        return True
    return call.func.attr in ("write", "info", "debug", "warning", "error", "update")


def _conflicts(unit: Unit, names: set[str], *, storing: bool) -> bool:
    if names & unit.header.mutates.keys():
        # To keep a reference is all that the commit did: the serial loop's object changes too.
        return True
    return not storing and bool(names & unit.header.reads.keys())
