"""Values that are small enough to be noted in the log at every site, just in case.

They are needed only if the loop ends there; what is large then is lost, and said to be.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import sys
import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.run.log import LOST, UNBOUND

__all__ = ["ALWAYS_SMALL", "small_or_lost"]

ALWAYS_SMALL: Final = frozenset({int, float, complex, bool, type(None)})
"""Types of values that are small, whichever they are."""

_SMALL_KINDS: Final = (
    types.FunctionType, types.BuiltinFunctionType, type, range, pathlib.PurePath,
    decimal.Decimal, fractions.Fraction, datetime.date, datetime.time, datetime.timedelta,
)  # fmt: skip
_OWN_COPIES: Final = frozenset(
    {
        "__copy__",
        "__deepcopy__",
        "__getstate__",
        "__reduce__",
        "__reduce_ex__",
        "__setstate__",
        "__getattribute__",
    }
)
_SMALL_LENGTH: Final = 1000
_SMALL_COUNT: Final = 32
_SMALL_PARTS: Final = 1024


def small_or_lost(value: Any) -> Any:
    """The value if it is small, all its parts included."""
    if type(value) in (str, bytes):
        return value if len(value) <= _SMALL_LENGTH else LOST
    if isinstance(value, types.ModuleType):  # which an iteration may import
        return value if sys.modules.get(value.__name__) is value else LOST
    parts, count, met = [value], 0, set[int]()
    while parts:
        part, count = parts.pop(), count + 1
        inner = _parts_of(part)
        if inner is None or count > _SMALL_PARTS:
            return LOST
        if inner and id(part) not in met:  # a list may hold itself
            met.add(id(part))
            parts += inner
    return value


def _parts_of(value: Any) -> Iterable[Any] | None:
    """What is left to look at of a small value; None for one that is large."""
    kind = type(value)
    if kind in ALWAYS_SMALL or value is UNBOUND or isinstance(value, _SMALL_KINDS):
        return ()
    if kind in (str, bytes):
        return () if len(value) <= _SMALL_LENGTH else None
    if kind.__module__ == "numpy" and (size := _size_in_numpy(value)) is not None:
        return () if size <= _SMALL_LENGTH else None
    if _is_plain_object(kind):
        value = vars(value)
        return list(value.values()) if len(value) <= _SMALL_COUNT else None
    if kind not in (list, tuple, set, frozenset, dict) or len(value) > _SMALL_COUNT:
        return None
    return [*value.keys(), *value.values()] if kind is dict else list(value)


def _size_in_numpy(value: Any) -> int | None:
    """Bytes of an array without objects; 0 of an element of one, None of anything else."""
    numpy: Any = sys.modules["numpy"]  # workers import it where the work does
    if isinstance(value, numpy.generic):
        return 0
    plain = type(value) is numpy.ndarray and not value.dtype.hasobject
    return int(value.nbytes) if plain else None


def _is_plain_object(kind: type) -> bool:
    """Whether instances are of a class of the notebook's, and are what their attributes are."""
    own = vars(kind).keys()
    if kind.__module__ != "__main__":
        return False
    plain = kind.__mro__[1:] == (object,) and kind.__dictoffset__ != 0
    return plain and _OWN_COPIES.isdisjoint(own)
