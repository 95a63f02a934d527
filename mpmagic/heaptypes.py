"""Classes that Python code has made, and the builtin type that one derives from."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["builtin_base", "is_heap_type", "own_members"]

_HEAPTYPE: Final = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE`` of CPython: the type was made at run time, and can be changed."""


def is_heap_type(kind: type) -> bool:
    """Whether a class was made at run time."""
    return bool(kind.__flags__ & _HEAPTYPE)


def own_members(kind: type) -> list[Any]:
    """What a class and those bases of it define that were made at run time, nearest first."""
    return [vars(base) for base in kind.__mro__ if is_heap_type(base)]


def builtin_base(kind: type) -> Any:
    """The nearest base that wasn't."""
    return next(base for base in kind.__mro__ if not is_heap_type(base))
