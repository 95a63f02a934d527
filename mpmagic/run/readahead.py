"""Whether the body of a loop, or what follows it, could see that items are taken ahead."""

from __future__ import annotations

import ast
import types
from typing import Any

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.functions import global_names
from mpmagic.cell.iterable import only_labels_bar
from mpmagic.cell.jumps import breaks_of
from mpmagic.cell.syntax import walk
from mpmagic.run.watch import is_of_library

__all__ = ["reads_commits", "seen_ahead"]


def seen_ahead(loop: ast.For, dependence: Dependence, namespace: dict[str, Any]) -> str:
    """Why a loop over an iterator of the notebook's stays in the kernel; empty if it needn't.

    Parameters
    ----------
    loop, dependence
        The loop.
    namespace
        The notebook's.
    """
    names = {n.id for n in walk(loop.iter) if isinstance(n, ast.Name)} & namespace.keys()
    iterators = {name for name in names if hasattr(namespace[name], "__next__")}
    if iterators and breaks_of(loop.body):
        return f"a `break` leaves `{min(iterators)}` where the serial loop would"
    nodes = [node for statement in loop.body for node in walk(statement)]
    stepped = {id(a) for n in nodes if isinstance(n, ast.Call) and _is_next(n) for a in n.args}
    spelt = {n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in stepped}
    bars = {name for name in names if _is_bar(namespace[name])}
    used = (iterators | {n for n in bars if not only_labels_bar(n, dependence)}) & spelt
    return f"its body uses `{min(used)}`, from which items are taken ahead" if used else ""


def reads_commits(iterable: Any, dependence: Dependence) -> str:
    """The name of what an iterable of the notebook's class reads and the loop changes, or empty."""
    kind = type(iterable)
    if is_of_library(kind):
        return ""
    methods = [getattr(kind, name, None) for name in ("__iter__", "__next__", "__getitem__")]
    codes = [method.__code__ for method in methods if isinstance(method, types.FunctionType)]
    read = {name for code in codes for name in global_names(code)[0]}
    return min(read & dependence.kernel.keys(), default="")


def _is_next(call: ast.Call) -> bool:
    """Whether it steps an iterator, which is looked at elsewhere."""
    return isinstance(call.func, ast.Name) and call.func.id == "next"


def _is_bar(value: Any) -> bool:
    """Whether it's a bar of tqdm's, which shows how many items were taken."""
    return hasattr(type(value), "set_postfix")
