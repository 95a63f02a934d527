"""Whether the work changed what the notebook would have kept.

What a worker was sent is compared with what it holds later: each captured value is pickled right
after it was loaded and again after chunks. Caches inside an object (`functools.cached_property`)
are left out; where the pickles of frames differ, what can be seen of them is compared, so that
what pandas remembers of a look into them is no false alarm. The global streams
of `random` and `numpy.random` are watched too: a library that draws from them would give other
numbers than the serial loop.
"""

from __future__ import annotations

import functools
import itertools
import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from cloudpickle import cloudpickle as internals

from mpmagic.heaptypes import builtin_base, is_heap_type, own_members
from mpmagic.pool import content_digest
from mpmagic.run.codec import Encoder
from mpmagic.run.packed import Packed, bytes_of, digest
from mpmagic.run.seen import SeenEncoder, holds_frames
from mpmagic.run.side import Side

__all__ = ["ATOMS", "BOUND", "Fingerprint", "Watch", "are_inert", "are_plain", "cached_names",
           "changed_values", "enclosed", "fingerprint", "is_inert", "is_of_library", "seen_digest",
           "state_of"]  # fmt: skip

BOUND: Final = (types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)
"""Callables that may be the methods of an object that they change."""

ATOMS: Final = frozenset({int, float, complex, bool, str, bytes, type(None), range, slice})
"""Types of values that nothing can change."""

_SHORT: Final = 16
"""Parts of a tuple that are looked at one by one."""

_OWN_WAYS: Final = frozenset({"__reduce__", "__reduce_ex__", "__slots__"})
_DEFINED: Final = (type, types.FunctionType)
_OF_CLASSES: Final = frozenset(
    {"__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__",
     "__annotations_cache__", "__annotate__", "__annotate_func__", "__slots__", "__match_args__",
     "__firstlineno__", "__static_attributes__", "__abstractmethods__", "__type_params__",
     "__orig_bases__", "__parameters__", "__dataclass_fields__", "__dataclass_params__",
     "__subclasshook__", "__class_getitem__", "__hash__", "__init_subclass__",
     "__protocol_attrs__", "__non_callable_proto_members__", "__slotnames__"}
)  # fmt: skip
"""What Python itself, or a decorator of its library, keeps in a class."""


def is_inert(value: Any) -> bool:
    """Whether nothing that holds the value can change it."""
    kind = type(value)
    if kind in ATOMS:
        return True
    if isinstance(value, types.ModuleType):
        return sys.modules.get(value.__name__) is value
    if isinstance(value, types.BuiltinFunctionType):  # `len`, or the method of an object
        return is_inert(value.__self__)
    if kind in (tuple, frozenset):
        if len(value) > _SHORT:
            return False
        return ATOMS.issuperset(map(type, value)) or all(map(is_inert, value))
    if kind.__module__ == "numpy" and (numpy := sys.modules.get("numpy")) is not None:
        return issubclass(kind, numpy.generic) and not issubclass(kind, numpy.void)
    return isinstance(value, type | types.FunctionType) and is_of_library(value)


def are_inert(values: Collection[Any]) -> bool:
    """Whether nothing that holds one of the values can change it; quickly where there are many."""
    kinds = set(map(type, values))
    if ATOMS.issuperset(kinds):
        return True
    if kinds == {tuple} and max(map(len, values)) <= _SHORT and _hold_atoms(values):
        return True
    return all(map(is_inert, values))


def _hold_atoms(values: Iterable[tuple[Any, ...]]) -> bool:
    # In C all the way: asked one by one, it takes as long as to pickle them.
    return ATOMS.issuperset(map(type, itertools.chain.from_iterable(values)))


def are_plain(values: Collection[Any]) -> bool:
    """Whether the values are text, numbers and the like, or tuples of them: no functions."""
    if not set(map(type, values)) <= ATOMS | {tuple}:
        return False
    return _hold_atoms(v for v in values if type(v) is tuple)


def is_of_library(value: Any) -> bool:
    """Whether it's found in an imported module; `functools.wraps` gives others such a name too."""
    if isinstance(value, type) and not is_heap_type(value):
        return True  # nobody can change it
    module = str(value.__module__)
    found: Any = sys.modules.get(module) if module != "__main__" else None
    for name in value.__qualname__.split("."):
        # Not `getattr`: modules that make names up when asked may warn.
        found = getattr(found, "__dict__", {}).get(name)
    return found is value


class Watch:
    """Compares captured values with what they were.

    Parameters
    ----------
    side
        The program's side.
    values
        The captured values to watch, as they were loaded just now; the notebook's classes that came
        with them are watched too.
    again
        Loads them once more.
    apart
        Names of classes that aren't watched.
    """

    def __init__(
        self,
        side: Side,
        values: dict[str, Any],
        again: Callable[[], dict[str, Any]],
        *,
        apart: Set[str] = frozenset(),
    ) -> None:
        self._side = side
        self._again = again
        classes = {n: kind for n, kind in _classes(side).items() if n not in apart}
        self._values = {n: v for n, v in (classes | values).items() if not is_inert(v)}
        self._baseline = {n: fingerprint(v, side) for n, v in self._values.items()}

    def changed(self) -> list[str]:
        """Names of the captured values that aren't what they were."""
        return changed_values(self._values, self._baseline, self._side, self._again)


def _classes(side: Side) -> dict[str, type]:
    """The notebook's classes that came with what was captured, such as those of instances."""
    found: dict[str, type] = {}
    for identifier in sorted(side.class_ids):
        kind = internals._DYNAMIC_CLASS_TRACKER_BY_ID.get(identifier)
        if isinstance(kind, type):
            name = kind.__qualname__
            while name in found:  # a function makes one each time that it's called
                name += "'"
            found[name] = kind
    return found


@dataclass(slots=True)
class Fingerprint:
    """What tells a value from what it becomes.

    Attributes
    ----------
    pickled
        A digest of its pickle; empty where it can't be pickled.
    buffers
        Those of the memory that the pickle refers to.
    frames
        Whether it holds objects of pandas.
    """

    pickled: bytes = b""
    buffers: bytes = b""
    frames: bool = False


def fingerprint(value: Any, side: Side) -> Fingerprint:
    """The fingerprint of a value as it is now."""
    try:
        encoder, packed = _encoded(value, side, _WatchEncoder)
    except Exception:
        # It arrived by a way of its own (a reducer that needs the other side): not comparable.
        return Fingerprint()
    buffers = b"".join(content_digest(bytes_of(buffer)) for buffer in packed.buffers)
    return Fingerprint(digest(Packed(packed.data)), buffers, holds_frames(encoder.modules))


def changed_values(
    values: Mapping[Any, Any],
    before: dict[Any, Fingerprint],
    side: Side,
    again: Callable[[], Any],
) -> list[Any]:
    """Keys of the values that aren't what they were; `again` gives them as they were.

    Those are built on the very memory that values out of the same pickle may have changed since:
    they are what was there only as long as that memory is.
    """
    now = {key: fingerprint(value, side) for key, value in values.items()}
    differing = [key for key in values if now[key] != before[key]]
    cached = [k for k in differing if now[k].frames and now[k].buffers == before[k].buffers]
    if not cached or len(cached) < len(differing):
        return differing
    originals = again()
    for key in cached:
        if isinstance(originals, Mapping) and key not in originals:
            return [key]  # a class
        if seen_digest(values[key], side) != seen_digest(originals[key], side):
            return [key]
        before[key] = now[key]  # only a cache was filled, which needn't be found out again
    return []


class _WatchEncoder(Encoder):
    """Pickles that are compared and never read: what `functools.cached_property` keeps is left out.

    It's there or not, as somebody has asked, and always the same.
    """

    def __init__(self, side: Side, *, by_reference: bool) -> None:
        super().__init__(side, by_reference=by_reference)
        self._cached: dict[type, set[str]] = {}

    def reducer_override(self, obj: Any) -> Any:
        """The attributes of an object with such properties; all else as it is sent."""
        kind = type(obj)
        names = self._cached.get(kind)
        if names is None:
            names = self._cached[kind] = _left_out(kind)
        if not names:
            return super().reducer_override(obj)
        own = {name: value for name, value in vars(obj).items() if name not in names}
        return _compared, (kind.__module__, kind.__qualname__, own)


def _compared(*parts: Any) -> Any:
    """Stands in a pickle for an object's class; nobody unpickles it."""
    return parts


def _left_out(kind: type) -> set[str]:
    """Names of what is left out of a class's objects: of those that are nothing but attributes."""
    if builtin_base(kind) is not object:
        return set()
    special = any(_OWN_WAYS & members.keys() for members in own_members(kind))
    return set() if special else cached_names(kind)


def _encoded(value: Any, side: Side, kind: type[Encoder]) -> tuple[Encoder, Packed]:
    # Classes by reference: what pickling a class gives differs from one time to the next.
    encoder = kind(Side(side.namespace, class_ids=side.class_ids), by_reference=True)
    encoder.keeps_traces = False  # to raise an exception, or to handle it, isn't to change it
    return encoder, encoder.encode(_visible(value))


def seen_digest(value: Any, side: Side) -> bytes:
    """A digest of what can be seen of a value; a value that can't be pickled has none."""
    return digest(_encoded(value, side, SeenEncoder)[1])


def _visible(value: Any) -> Any:
    """What the user can see of a value, in a form whose pickle is stable."""
    if isinstance(value, type):
        own = {n: v for n, v in vars(value).items() if n not in _OF_CLASSES and n[:5] != "_abc_"}
        bases = [_name_of(base) for base in value.__bases__]
        return {"": bases, **{n: _visible(v) for n, v in own.items()}}
    if isinstance(value, BOUND):
        return (value.__name__, _visible(value.__self__))
    if isinstance(value, staticmethod | classmethod):
        return _visible(value.__func__)
    if isinstance(value, types.FunctionType):
        return [(_name_of(function), state_of(function)) for function in enclosed(value)]
    if isinstance(value, property):
        return [_visible(part) for part in (value.fget, value.fset, value.fdel)]
    if isinstance(value, types.MemberDescriptorType):
        return None
    cached = cached_names(type(value))
    if cached and "__reduce__" not in vars(type(value)):
        return (type(value), {n: v for n, v in vars(value).items() if n not in cached})
    return value


def enclosed(function: types.FunctionType) -> list[types.FunctionType]:
    """A function and those that it holds in its closure, those that they hold included."""
    found = [function]
    for one in found:
        inner = [c for c in _cells(one) if isinstance(c, types.FunctionType)]
        found += [f for f in inner if not any(f is known for known in found)]
    return found


def state_of(function: types.FunctionType) -> tuple[Any, ...]:
    attributes = {n: v for n, v in vars(function).items() if n != "__wrapped__"}
    cells = [_name_of(c) if isinstance(c, _DEFINED) else c for c in _cells(function)]
    return (function.__defaults__, function.__kwdefaults__, attributes, cells)


def _name_of(value: Any) -> tuple[Any, ...]:
    """What tells a function or a class from another one, in this process."""
    code = hash(value.__code__) if isinstance(value, types.FunctionType) else 0
    return value.__module__, value.__qualname__, code


def _cells(function: types.FunctionType) -> list[Any]:
    """What the variables of its closure hold; of those that hold nothing, nothing."""
    return [c.cell_contents for c in function.__closure__ or () if c != types.CellType()]


def cached_names(kind: type) -> set[str]:
    """Names of a class's `functools.cached_property`: what they keep is no change."""
    if kind.__module__ == "__main__":
        return _cached_names(kind)
    if (known := _of_libraries.get(kind)) is None:
        known = _of_libraries[kind] = _cached_names(kind)
    return known


_of_libraries: WeakKeyDictionary[type, set[str]] = WeakKeyDictionary()


def _cached_names(kind: type) -> set[str]:
    return {
        name
        for base in kind.__mro__
        for name, value in vars(base).items()
        if isinstance(value, functools.cached_property)
    }
