"""Classes of ctypes on their way to another process.

The notebook's own Structures and Unions are made again from their fields; cloudpickle alone fails
at the descriptors that ctypes makes of them. Types of arrays and pointers are made again from what
they hold.
"""

from __future__ import annotations

import ctypes
import pickle
import types
from typing import Any, Final

from cloudpickle import cloudpickle as internals

__all__ = ["reduce_structure", "reduce_value"]

# These shape the layout, so they have to be there before the fields are.
_SHAPING: Final = ("_pack_", "_align_", "_anonymous_", "_layout_", "_swappedbytes_")
_MADE_ANEW: Final = frozenset(("_fields_", "__dict__", "__weakref__", "__static_attributes__"))


def reduce_structure(kind: Any) -> tuple[Any, ...] | None:
    """Reduce a class of ctypes; give None for any other class, and for those of modules."""
    if issubclass(kind, ctypes.Array) and kind.__name__ == _array_name(kind):
        return _array_type, (kind._type_, kind._length_)
    if issubclass(kind, _POINTER) and kind.__name__ == f"LP_{kind._type_.__name__}":
        return ctypes.POINTER, (kind._type_,)
    if not issubclass(kind, (ctypes.Structure, ctypes.Union)):
        return None
    if internals._should_pickle_by_reference(kind):
        return None
    tracker = internals._get_or_create_tracker_id(kind)
    shape = {n: vars(kind)[n] for n in _SHAPING if n in vars(kind)}
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    metaclass = type(kind) if type(kind) not in _METACLASSES else None
    arguments = (metaclass, kind.__name__, kind.__bases__, names, tracker, None)
    return _make_structure, arguments, (shape, _rest(kind), _fields(kind)), None, None, _set_up


def reduce_value(value: Any) -> Any:
    """Reduce an instance of a class of ctypes that isn't in shared memory; give None for others.

    Once a class was shared, the standard library takes all its instances for shared ones.
    """
    if isinstance(value, _CDATA) and not hasattr(value, "_wrapper"):
        return value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    return None


_CDATA: Final = ctypes.Structure.__base__ or ctypes.Structure


_POINTER: Any = ctypes.POINTER(ctypes.c_byte).__base__


def _array_name(kind: type[ctypes.Array[Any]]) -> str:
    return f"{kind._type_.__name__}_Array_{kind._length_}"


def _array_type(item: Any, length: int) -> type:
    return item * length  # type: ignore[no-any-return]


def _fields(kind: Any) -> list[Any] | None:
    return vars(kind).get("_fields_")  # type: ignore[no-any-return]


def _rest(kind: type) -> dict[str, Any]:
    """Give the methods and attributes of a class."""
    skipped = _MADE_ANEW.union(_SHAPING, (field[0] for field in _fields(kind) or ()))
    return {
        name: value
        for name, value in vars(kind).items()
        if name not in skipped and not isinstance(value, _DESCRIPTORS)
    }


class _Sample(ctypes.Structure):
    _fields_ = (("field", ctypes.c_byte),)


_DESCRIPTORS: Final = (types.GetSetDescriptorType, type(_Sample.field))


# They have no name in any module; a class gets them from its bases.
_METACLASSES: Final = (type(ctypes.Structure), type(ctypes.Union))


def _make_structure(
    metaclass: type | None, name: str, bases: Any, names: Any, tracker: str, _: None
) -> Any:
    options = {"metaclass": metaclass} if metaclass else {}
    kind = types.new_class(name, bases, options, lambda body: body.update(names))
    return internals._lookup_class_or_track(tracker, kind)


def _set_up(kind: Any, state: tuple[dict[str, Any], dict[str, Any], list[Any] | None]) -> None:
    shape, rest, fields = state
    for name, value in (shape | rest).items():
        setattr(kind, name, value)
    if fields is not None:
        kind._fields_ = fields
