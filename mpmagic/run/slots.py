"""Whether the slots of sliced state are what the source takes them for: distinct and disjoint.

Distinct: no two iterations have one slot. Disjoint: no mutable object is reached from two slots,
nor from anything else that the work was sent. Both are looked at when the loop is reached.
"""

from __future__ import annotations

import ast
import collections
import sys
from collections.abc import Mapping
from typing import Any, Final

from mpmagic.cell.slices import Slice, SliceKind
from mpmagic.run.alias import Aliases, Reach
from mpmagic.run.frames import is_index, why_columns_meet
from mpmagic.run.iterables import containers_of
from mpmagic.run.iterated import is_frame
from mpmagic.run.leads import Counting, Leads, leads_of
from mpmagic.run.watch import is_inert

__all__ = ["why_not_sliced"]

_DICTS: Final = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
_KEYS: Final = (int, str, bytes, bool, float, type(None))


def why_not_sliced(
    slice_: Slice, loop: tuple[ast.expr, Any], sent: Mapping[str, Any], *, own_items: bool
) -> str:
    """Why state can't be sliced after all; empty if it can.

    Parameters
    ----------
    slice_
        What the source says.
    loop
        The loop's target, and what it iterates over.
    sent
        Captured values by name.
    own_items
        Whether it's known that the loop's items don't show what is stored.
    """
    iterable = loop[1]
    if slice_.kind is SliceKind.ITEM:
        return _items(slice_, iterable, sent)
    value: Any = sent.get(slice_.name)
    if own_items or iterable is value or type(iterable) is type({}.keys()) or is_index(iterable):
        iterable = ()
    if slice_.columns is not None:
        why = why_columns_meet(slice_, loop, sent)
        return f"`{slice_.name}`: {why}" if why else _also_reached(slice_, iterable, sent)
    leads = leads_of(slice_.variable, *loop)
    if leads is None:
        return f"it can't be seen whether `{slice_.variable}` is another one in each iteration"
    if why := _slots(value, leads):
        return f"`{slice_.name}`: {why}"
    if why := _also_reached(slice_, iterable, sent):
        return why
    if not slice_.deep or _is_array(value):
        return ""
    if isinstance(leads, Counting):
        return _objects(slice_, list(value))
    return _objects(slice_, [value[k] for k in leads if _holds(value, k)])


def _also_reached(slice_: Slice, iterable: Any, sent: Mapping[str, Any]) -> str:
    """Why another name than its own leads to sliced state; empty if none does."""
    others = {n: v for n, v in sent.items() if n != slice_.name}
    other = Aliases(others, iterable).shared_with(sent.get(slice_.name), deep=True)
    return f"`{slice_.name}` can be reached through `{other}` too" if other else ""


def _items(slice_: Slice, iterable: Any, sent: Mapping[str, Any]) -> str:
    containers = list(containers_of(iterable))
    items = [i for c in containers for i in (c.values() if isinstance(c, dict) else c)]
    if not containers:
        return "it can't be seen whether the loop's items are distinct objects"
    if any(hasattr(i, "__array_interface__") for i in items):
        return "the loop's items are arrays, which may share memory"
    reached = Aliases(sent, ())
    for item in items:
        if other := reached.shared_with(item, deep=True):
            if sent[other] is not iterable or len(containers) > 1:
                return f"the loop's items can be reached through `{other}` too"
            return f"the work reads `{other}`, which the loop changes"
    return _objects(slice_, items)


def _objects(slice_: Slice, objects: list[Any]) -> str:
    """Whether stores into the objects that slots hold meet nothing of another slot's."""
    reach = Reach()
    for value in objects:
        if not reach.add(value):
            return "two of the objects that the loop changes share a part"
    if not reach.complete:
        return "the objects that the loop changes are too many to look at"
    kinds = {type(v) for v in objects if not is_inert(v)}
    for name in slice_.attributes:
        if not all(_plain_attribute(kind, name) for kind in kinds):
            return f"storing `.{name}` runs code of its own"
    return ""


def _plain_attribute(kind: type, name: str) -> bool:
    setter: Any = kind.__setattr__
    if setter is not object.__setattr__ or not kind.__dictoffset__:
        return kind in (list, *_DICTS)  # no attribute of theirs is stored
    member = next((vars(b)[name] for b in kind.__mro__ if name in vars(b)), None)
    return not hasattr(type(member), "__set__")


def _slots(value: Any, leads: Leads) -> str:
    if type(value) is list or _is_array(value):
        if _is_array(value) and 0 in value.strides and value.size > 1:
            return "its slots share memory"
        if not isinstance(leads, Counting) and any(type(k) is not int or k < 0 for k in leads):
            return "its slots aren't numbered by plain non-negative numbers"
        return ""
    if type(value) in _DICTS:
        return "" if _are_keys(leads) else "its keys may be found by their identity"
    if is_frame(value):
        return _columns(value, leads)
    return f"a {type(value).__name__} may do more than keep what is stored"


def _columns(frame: Any, leads: Leads) -> str:
    named = not isinstance(leads, Counting) and all(type(k) is str for k in leads)
    if not named or not frame.columns.is_unique:
        return "its columns aren't plain unique names"
    return "" if len(frame.index) else "the loop may add rows to it"


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject


def _holds(value: Any, key: Any) -> bool:
    return key in value if isinstance(value, dict) else key < len(value)


def _are_keys(leads: Leads) -> bool:
    return not isinstance(leads, Counting) and all(
        type(k) in _KEYS or (type(k) is tuple and _are_keys(list(k))) for k in leads
    )
