"""Values that are small enough to be noted in the log at every site, just in case.

They are needed only if the loop ends there; what is large then is lost, and said to be.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import types
from typing import Any, Final

import numpy as np

from mpmagic.run.log import LOST, UNBOUND

__all__ = ["plain_or_lost", "small_or_lost"]

_SMALL_ATOMS: Final = (int, float, complex, bool, type(None))
_SMALL_KINDS: Final = (
    np.generic, types.FunctionType, types.BuiltinFunctionType, type, range, pathlib.PurePath,
    decimal.Decimal, fractions.Fraction, datetime.date, datetime.time, datetime.timedelta,
)  # fmt: skip
_SMALL_LENGTH: Final = 1000
_SMALL_COUNT: Final = 32


def small_or_lost(value: Any) -> Any:
    """The value if it is small, all its parts included."""
    kind = type(value)
    if kind in _SMALL_ATOMS or value is UNBOUND or isinstance(value, _SMALL_KINDS):
        return value
    if kind in (str, bytes):
        return value if len(value) <= _SMALL_LENGTH else LOST
    if kind is np.ndarray and not value.dtype.hasobject:
        return value if value.nbytes <= _SMALL_LENGTH else LOST
    if kind in (list, tuple, set, frozenset) and len(value) <= _SMALL_COUNT:
        return value if all(small_or_lost(v) is v for v in value) else LOST
    if kind is dict and len(value) <= _SMALL_COUNT:
        parts = [*value.keys(), *value.values()]
        return value if all(small_or_lost(v) is v for v in parts) else LOST
    return LOST


def plain_or_lost(value: Any) -> Any:
    """The value if it can be pickled whatever else can't."""
    return value if type(value) in (*_SMALL_ATOMS, str, bytes) or value is UNBOUND else LOST
