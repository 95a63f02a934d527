"""What to change, or which flag to use, so that a refused loop runs in parallel."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from typing import Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import FIGURE, Effects, Refusal
from mpmagic.cell.files import is_file
from mpmagic.cell.syntax import walk
from mpmagic.cell.unit import Unit

__all__ = ["AHEAD", "advice_for", "guarded_call", "kept_call"]

AHEAD: Final = "`--ahead` lets work run that the serial cell might have skipped"

_DRAWN: Final = (
    "what is drawn, computed in a line of its own, goes to the workers, and so does a figure that "
    "the iteration closes"
)
_WRITTEN: Final = (
    "what is written into one file, computed in a line of its own before that is opened, goes to "
    "the workers"
)
_CONTAINERS: Final = (list, dict, set, bytearray, deque, Counter, defaultdict)
_STORING: Final = frozenset({"append", "extend", "insert", "add", "update", "setdefault"})


def advice_for(unit: Unit, dependence: Dependence) -> str:
    """The way out for a loop whose work has all become the commit `unit`; empty if there is none.

    Parameters
    ----------
    unit
        The commit.
    dependence
        The stages of the loop.
    """
    if unit.guarded or isinstance(unit.node, ast.If):
        return _past_guard(unit, dependence)
    if "may raise under" in unit.why:
        return "work in a line of its own, before the statement that may raise, goes to the workers"
    changed = sorted(unit.whole().mutates)
    if any(is_file(name) for name in changed):
        return _WRITTEN
    for name in changed:
        shared = name in dependence.kernel and name not in dependence.whole.binds
        if shared and not dependence.alias_roots(name) & dependence.targets:
            if _changed_by_call(name, unit, dependence):
                return _own_copies(name, dependence)
    for name in sorted(unit.whole().binds):
        carried = name in dependence.flow.exposed and name != FIGURE
        if carried and _bound_by_functions_only(name, unit):
            return f"`--local {name}` lets each worker keep its own, and doesn't send it back"
    return _DRAWN if FIGURE in dependence.kernel else ""


def guarded_call(unit: Unit, dependence: Dependence) -> Refusal | None:
    """The first call of a commit that could be work, if only it ran in every iteration."""
    if not (unit.guarded or isinstance(unit.node, ast.If)):
        return None
    nodes = walk(*(_guarded_parts(unit.node) if isinstance(unit.node, ast.If) else [unit.node]))
    for call in (n for n in nodes if isinstance(n, ast.Call)):
        effects = dependence.scanner.scan([call])
        if effects.touched() & dependence.kernel.keys() or effects.kernel_only:
            continue
        why = unit.why if unit.guarded else f"it runs only if shared state says so: {unit.why}"
        return Refusal(call.lineno, ast.unparse(call), why)
    return None


def _guarded_parts(node: ast.If) -> list[ast.AST]:
    """What of an ``if`` isn't evaluated whenever it is reached."""
    later = node.test.values[1:] if isinstance(node.test, ast.BoolOp) else []
    return [*later, *node.body, *node.orelse]


def kept_call(unit: Unit, dependence: Dependence) -> Refusal | None:
    """The first call of a commit that does more than store, with the name that keeps it."""
    for call, effects in _calls(unit, dependence):
        kept = [n for n in dependence.kernel if n in effects.touched()]
        if kept:
            reason = _kept_by(kept[0], call, effects, dependence)
            return Refusal(call.lineno, ast.unparse(call), reason)
    return None


def _kept_by(name: str, call: ast.Call, effects: Effects, dependence: Dependence) -> str:
    why, changed = dependence.kernel[name], dependence.whole.mutates.get(name)
    if changed is None or name in effects.mutates or not why.endswith(f"changes `{name}`"):
        return why
    where = f"`{changed.text}` in line {changed.line}"
    if changed.line == call.lineno:
        where = "the same line"
    return f"it reads `{name}`, which {where} changes"


def _past_guard(unit: Unit, dependence: Dependence) -> str:
    if guarded_call(unit, dependence) is None:
        return ""
    if dependence.allowances.ahead:
        return "work in a line of its own, before the `if`, runs in every iteration"
    return AHEAD


def _own_copies(name: str, dependence: Dependence) -> str:
    advice = (
        f"`--private {name}` gives each iteration a copy of its own, of which the last one stays; "
        f"`--local {name}` lets each worker keep its own, and sends no change back"
    )
    kind = dependence.knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
    if kind is not None and hasattr(kind, "fit") and hasattr(kind, "get_params"):
        advice += f"; `model = sklearn.base.clone({name})` in the loop makes one that isn't fitted"
    return advice


def _changed_by_call(name: str, unit: Unit, dependence: Dependence) -> bool:
    """Whether a call does it that computes something: results are nobody's to keep apart."""
    return any(name in effects.mutates for _, effects in _calls(unit, dependence))


def _calls(unit: Unit, dependence: Dependence) -> Iterator[tuple[ast.Call, Effects]]:
    """The calls of a commit that do more than store, and what they do."""
    nodes = list(ast.walk(unit.node))
    # As a statement of its own a call counts for more than where its value is used.
    statements = {id(n.value): n for n in nodes if isinstance(n, ast.Expr)}
    for call in (n for n in nodes if isinstance(n, ast.Call)):
        if not _only_stores(call, dependence):
            yield call, dependence.scanner.scan([statements.get(id(call), call)])


def _only_stores(call: ast.Call, dependence: Dependence) -> bool:
    """Whether it is a method of a container: what it is handed are operands."""
    if not isinstance(call.func, ast.Attribute):
        return False
    kind = dependence.knowledge.type_of(call.func.value)
    return kind in _CONTAINERS or (kind is None and call.func.attr in _STORING)


def _bound_by_functions_only(name: str, unit: Unit) -> bool:
    spelt = {n.id for n in unit.nodes if isinstance(n, ast.Name)}
    return name not in spelt
