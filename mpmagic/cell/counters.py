"""Counters that processes share: additions to integers of `multiprocessing`, under their lock.

Of such additions only the sum is left, in whatever order they were made. So the work may make them
itself, in the workers, as long as nothing in the loop looks at the counter, and whoever adds to it
holds the same lock. Any other store into what processes share is a commit, as into any object.
"""

from __future__ import annotations

import ast
import gc
import sys
import types
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from mpmagic.cell.effects import Effects
from mpmagic.cell.knowledge import UNKNOWN, Knowledge

__all__ = [
    "Uncountable",
    "advice_for",
    "are_sound",
    "counted",
    "is_shared",
    "is_shared_array",
    "lock_of",
]

_BUDGET: Final = 20_000
"""Objects that are looked at, to see whether another name leads to a counter."""

_INTEGERS: Final = frozenset("bBhHiIlLqQ")


class Uncountable(Exception):
    """The loop has to be split as if the workers couldn't enter its locks."""


class Entered(NamedTuple):
    """A lock or semaphore that a ``with`` enters.

    Attributes
    ----------
    key
        Tells it from others.
    is_exclusive
        Whether it lets in one process at a time.
    """

    key: int
    is_exclusive: bool


def lock_of(context: ast.expr, knowledge: Knowledge) -> Entered | None:
    """Identify the lock that a ``with`` enters, if workers can enter it too.

    It must have a name that they can attach to, and be free: held by the kernel while the loop
    runs, it would keep them waiting for ever.
    """
    match context:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get_lock"), args=[]):
            lock = _lock_in(knowledge.value(name))
        case ast.Name(id=name):
            lock = _lock_in(knowledge.value(name)) or knowledge.value(name)
        case _:
            return None
    if type(lock).__module__ != "multiprocessing.synchronize":
        return None
    if (is_exclusive := _EXCLUSIVE.get(type(lock).__name__)) is None:
        return None
    semaphore = lock._semlock
    is_free = not semaphore._is_mine() and not semaphore._is_zero()
    return Entered(id(lock), is_exclusive) if semaphore.name is not None and is_free else None


_EXCLUSIVE: Final = {"Lock": True, "RLock": True, "Semaphore": False, "BoundedSemaphore": False}


def counted(node: ast.AugAssign, knowledge: Knowledge) -> str:
    """Name the object of `multiprocessing` to an integer of which something is added."""
    if not isinstance(node.op, ast.Add | ast.Sub):
        return ""
    match node.target:
        case ast.Attribute(value=ast.Name(id=name), attr=field):
            cell = _raw(knowledge.value(name))
            kind = _field_type(type(cell), field)
        case ast.Subscript(value=ast.Name(id=name), slice=index) if _is_index(index):
            kind = getattr(_raw(knowledge.value(name)), "_type_", None)
        case _:
            return ""
    return name if getattr(kind, "_type_", None) in _INTEGERS else ""


def is_shared(value: Any) -> bool:
    """Whether a value lies in memory that processes share."""
    return _raw(value) is not None


def advice_for(value: Any) -> str:
    """Say what the work may do with an object that processes share; empty for any other object."""
    modules = ("multiprocessing.synchronize", "multiprocessing.sharedctypes")
    return _ADVICE if type(value).__module__ in modules else ""


_ADVICE: Final = (
    "under a lock made by `mpmagic.mp`, the work may add to integers of a `Value` or an `Array`, "
    "each always under the same lock, and not look at them; store or read them in a statement of "
    "the loop's body"
)


def are_sound(effects: Effects, read_ahead: Effects, knowledge: Knowledge) -> bool:
    """Whether a loop with these effects may leave the counters that it adds to to its work."""
    counters = {name: _raw(knowledge.value(name)) for name in effects.counts}
    if not all(effects.counts.values()):
        return False  # not all under one lock
    looked_at = [*effects.looks, *effects.mutates, *read_ahead.touched()]
    if any(_raw(knowledge.value(name)) in _Same(counters.values()) for name in looked_at):
        return False
    others = (effects.reads.keys() | read_ahead.reads.keys()) - counters.keys()
    values = [knowledge.value(name) for name in others]
    return not _leads_to(values, {id(knowledge.value(name)) for name in counters})


class _Same:
    """Membership by identity."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._ids = {id(v) for v in values}

    def __contains__(self, value: Any) -> bool:
        return value is not None and id(value) in self._ids


def _leads_to(values: Iterable[Any], wanted: set[int]) -> bool:
    """Whether one of the objects can be reached from the values, or might be beyond the budget."""
    seen: set[int] = set()
    todo = [v for v in values if v is not UNKNOWN]
    while todo:
        value = todo.pop()
        if isinstance(value, _OPAQUE) or id(value) in seen or not gc.is_tracked(value):
            continue
        if id(value) in wanted or len(seen) > _BUDGET:
            return True
        seen.add(id(value))
        if type(value).__module__ != "multiprocessing.synchronize":
            todo += gc.get_referents(value)
    return False


# Functions of the notebook are read as such; from the rest nothing of the notebook is reached.
_OPAQUE: Final = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)


def _raw(value: Any) -> Any:
    """Give the object of ctypes in shared memory that a value is or wraps; None for others."""
    if type(value).__module__ == "multiprocessing.sharedctypes":
        value = vars(value).get("_obj")
    if type(type(value)).__module__ != "_ctypes":
        return None
    return value if "_wrapper" in getattr(value, "__dict__", ()) else None


def is_shared_array(value: Any) -> bool:
    """Whether a value is an array that was made by `mpmagic.shared`, or a view of one."""
    home = sys.modules.get("mpmagic.pool.sharedarray")
    return home is not None and home.is_shared_array(value)


def _lock_in(value: Any) -> Any:
    if type(value).__module__ != "multiprocessing.sharedctypes":
        return None
    return vars(value).get("_lock")


def _field_type(kind: Any, field: str) -> Any:
    if kind.__module__ == "ctypes" and field == "value":
        return kind
    fields = {f[0]: f[1] for f in getattr(kind, "_fields_", ()) if len(f) == 2}
    return fields.get(field)


def _is_index(node: ast.expr) -> bool:
    return not isinstance(node, ast.Slice)
