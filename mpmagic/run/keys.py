"""What the worker looks at in a value before a commit uses it as a key or adds it.

A key has to find in the kernel what it would have found: it is hashed where the handlers are, and
one that is found by its identity is refused, as the kernel gets a copy. A number has to be one that
a sum can take.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Final

from mpmagic.errors import UnsendableValue

__all__ = ["hashed", "is_found_by_identity", "slotted", "summed"]

_LARGEST_INT: Final = 1 << 1000


def hashed(key: Any) -> Any:
    """Give the key back if it can be one; else the very exception of a dict's."""
    {key: None}  # noqa: B018
    return key


def summed(value: Any) -> Any:
    """Give a value back if a sum can take it."""
    kind = type(value)
    if kind not in (int, float, bool) and not _is_numpys(value):
        raise UnsendableValue(
            f"a {kind.__name__} is added under a `try`, which the kernel would have to do outside "
            f"it; compute it in the `try` and add it after it"
        )
    if kind is int and abs(value) > _LARGEST_INT:
        raise UnsendableValue("a number is added that may be too large for the sum")
    return value


def _is_numpys(value: Any) -> bool:
    numpy = sys.modules.get("numpy")  # workers import it where the work does
    return numpy is not None and isinstance(value, (numpy.number, numpy.bool_))


def is_found_by_identity(key: Any) -> bool:
    """Whether no copy of a key is equal to it; of classes and functions none is made."""
    kind: Any = type(key)
    by_identity = kind.__hash__ is object.__hash__ and kind.__eq__ is object.__eq__
    return by_identity and not isinstance(key, type | types.FunctionType)


def slotted(key: Any) -> Any:
    """Give a key back if a copy of it finds the same slot.

    Raises
    ------
    UnsendableValue
        If it is found by its identity only.
    """
    if is_found_by_identity(key):
        raise UnsendableValue(
            f"a commit uses {type(key).__name__} as a key, which is found by its identity; the "
            f"kernel would get a copy. Use a key that is found by its value"
        )
    return key
