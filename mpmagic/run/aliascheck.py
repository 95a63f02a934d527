"""Whether a loop's commits change what its work reads, though by another name."""

from __future__ import annotations

import ast
import logging
from typing import Any

from mpmagic.cell.attribute import attribute
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.iterable import only_labels_bar, only_past_slots
from mpmagic.cell.paths import root_of
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.syntax import walk
from mpmagic.run.alias import Aliases, is_new
from mpmagic.run.capture import Captured
from mpmagic.run.context import CellContext
from mpmagic.run.iterables import containers_of
from mpmagic.run.iterated import stored_columns, stores_past_rows
from mpmagic.run.overlap import may_overlap
from mpmagic.run.source import ItemSource
from mpmagic.run.stays import StaysInKernel
from mpmagic.run.watch import is_inert, is_of_library

__all__ = ["check_aliases"]


def check_aliases(
    dependence: Dependence,
    split: SplitLoop,
    captured: Captured,
    items: tuple[ast.For, Any, ItemSource],
    cell: CellContext,
) -> bool:
    """See that commits change nothing that the work reads by another name.

    Parameters
    ----------
    dependence, split, captured
        The loop's.
    items
        The loop, what it iterates over, and its items.
    cell
        The cell.

    Returns
    -------
    bool
        Whether that can only be told when the loop is over.

    Raises
    ------
    StaysInKernel
        If they may.
    """
    loop, iterable, source = items
    sliced = {s.name for s in split.slices}
    _check_items(dependence, captured, iterable, source, cell)
    shared = split.shared & cell.namespace.keys()
    apart = {n for n in shared if is_new(n, cell.namespace)}
    mutated = {n: cell.namespace[n] for n in shared}
    mutated = {n: v for n, v in mutated.items() if not is_inert(v)}
    if not mutated:
        return bool((split.kernel_reads & captured.values.keys()) - split.shared - sliced)
    sent = {n: v for n, v in captured.values.items() if n not in cell.options.local}
    sent |= {n: cell.namespace[n] for n in split.prepared.sources & cell.namespace.keys()}
    aliases, complete = Aliases(sent, iterable), True
    for name, value in mutated.items():
        if name in apart or _stores_past(name, value, dependence, loop.iter, iterable):
            continue
        deep = _changed_deeply(name, value, dependence)
        past = stores_past_rows(name, value, dependence, iterable)
        columns = stored_columns(name, value, dependence)
        reached = Aliases(sent, ()) if past else aliases
        other = reached.shared_with(value, deep=deep, columns=columns)
        complete = complete and reached.complete
        if value is iterable and only_labels_bar(name, dependence):
            continue
        if other:
            why = dependence.kernel[name]
            raise StaysInKernel(f"the work reads through `{other}` what `{name}` leads to: {why}")
    # What runs code of the user's may change anything.
    own = not is_of_library(type(iterable)) or any(map(_runs_users_code, mutated.values()))
    return own or not complete


def _runs_users_code(value: Any) -> bool:
    """Whether to change an object may run code of the user's."""
    if isinstance(value, logging.Logger):
        return any(not is_of_library(type(h)) for h in (*value.handlers, *value.filters))
    factory = attribute(value, "default_factory")  # of a `defaultdict`
    return not is_of_library(type(value)) or not (factory is None or is_inert(factory))


def _check_items(
    dependence: Dependence,
    captured: Captured,
    iterable: Any,
    source: ItemSource,
    cell: CellContext,
) -> None:
    """Commits that change the loop's items mustn't change what the work was sent."""
    kept = dependence.targets & dependence.kernel.keys()
    changed = kept & dependence.whole.mutates.keys()
    apart = changed - source.packer.staying.keys()
    if apart and may_overlap(dependence.target, iterable, source.first, kept):
        name = min(apart)
        raise StaysInKernel(
            f"the work reads of the items what `{name}`, which the commits change, may hold"
        )
    sent = {n: v for n, v in captured.values.items() if n not in cell.options.local}
    if changed and (other := Aliases(sent, ()).shared_with(iterable, deep=True)):
        name = min(changed)
        why = dependence.kernel[name]
        raise StaysInKernel(f"the work reads through `{other}` what `{name}` leads to: {why}")


def _stores_past(
    name: str, value: Any, dependence: Dependence, node: ast.expr, iterable: Any
) -> bool:
    """Whether commits store into slots of the iterable that it has given already."""
    if not any(container is value for container in containers_of(iterable)):
        return False
    if name in dependence.slices or not only_past_slots(name, node, dependence):
        return False
    augmented = any(isinstance(s, ast.AugAssign) for b in dependence.body for s in walk(b))
    return not augmented or all(is_inert(item) for item in value)


def _changed_deeply(name: str, value: Any, dependence: Dependence) -> bool:
    """Whether commits may change not only the object but what it holds."""
    if any(name in roots for roots in dependence.whole.aliases.values()):
        return True
    if not isinstance(value, list | dict | set | bytearray) and not hasattr(
        type(value), "__array__"
    ):
        return True
    for statement in dependence.body:
        for node in walk(statement):
            if isinstance(node, ast.Attribute | ast.Subscript) and root_of(node) == name:
                if isinstance(node.value, ast.Attribute | ast.Subscript | ast.Call):
                    return True
    return False
