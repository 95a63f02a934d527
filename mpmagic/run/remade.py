"""Objects of classes that derive from builtin types, made again as they are.

Pickle calls what makes and fills such an object, and the class's own ``__new__``, ``__init__``,
``append`` or ``__setitem__`` would do their work on it once more: of a ``class Celsius(float)``
that converts what it is given, another temperature would come back.
"""

from __future__ import annotations

import copyreg
from typing import Any, Final

from mpmagic.heaptypes import builtin_base, is_heap_type, own_members

__all__ = ["reduce_remade"]

_IMMUTABLE: Final = (float, int, str, bytes, tuple, complex)
_MAKING: Final = frozenset({"__new__", "__init__"})
_FILLING: Final = {
    list: frozenset({"append", "extend"}) | _MAKING,
    dict: frozenset({"__setitem__"}) | _MAKING,
    set: _MAKING,
}
_OF_PICKLE: Final = frozenset(
    {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs_ex__"}
)


def reduce_remade(obj: Any) -> Any:
    """How such an object is pickled; `NotImplemented` for all others."""
    kind = type(obj)
    if not is_heap_type(kind) or kind.__base__ is object:
        return NotImplemented
    own = own_members(kind)
    if any(_OF_PICKLE & members.keys() for members in own):
        return NotImplemented
    base = builtin_base(kind)
    if base in _IMMUTABLE:
        return _immutable(obj, kind, base, own)
    if base not in _FILLING or not any(_FILLING[base] & members.keys() for members in own):
        return NotImplemented
    state = obj.__reduce_ex__(2)[2]
    parts = list(dict.items(obj) if base is dict else base.__iter__(obj))
    return base.__new__, (kind,), (parts, state), None, None, _fill


def _immutable(obj: Any, kind: type, base: Any, own: list[Any]) -> Any:
    # A named tuple has a `__new__` that takes what its `__getnewargs__` gives.
    first: Any = next((m for m in own if "__new__" in m or "__getnewargs__" in m), ())
    if "__new__" not in first or "__getnewargs__" in first:
        return NotImplemented
    make, _, state = obj.__reduce_ex__(2)[:3]
    if make is not copyreg.__newobj__:  # type: ignore[attr-defined]
        return NotImplemented
    return base.__new__, (kind, *base.__getnewargs__(obj)), state


def _fill(obj: Any, filling: tuple[list[Any], Any]) -> None:
    parts, state = filling
    if isinstance(obj, list):
        list.extend(obj, parts)
    elif isinstance(obj, dict):
        dict.update(obj, parts)
    else:
        set.update(obj, parts)
    values, slots = state if isinstance(state, tuple) else (state, None)
    if values:
        obj.__dict__.update(values)
    for name, value in (slots or {}).items():
        setattr(obj, name, value)
