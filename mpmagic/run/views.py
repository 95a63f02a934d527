"""Arrays that show parts of the same memory: they do so where they arrive, too.

pickle makes an array of its own of each, and a store into one wouldn't be seen in the other. Mostly
there are none, so arrays are noted while they are pickled, and pickled once more only if some share
memory. Frames are left as they are: what pandas lets share memory it copies before a store.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

__all__ = ["Views"]


_KINDS: Final = "biufcmMSUVO"
"""Of types that need no memory besides the array's."""


class _Span(NamedTuple):
    """The addresses of an array's first byte, and of the one after its last."""

    first: int
    end: int

    @classmethod
    def of(cls, array: Any) -> _Span:
        """That of an array that isn't empty."""
        first = end = array.__array_interface__["data"][0]
        for size, stride in zip(array.shape, array.strides, strict=True):
            first += min(0, (size - 1) * stride)
            end += max(0, (size - 1) * stride)
        return cls(first, end + array.itemsize)


class Views:
    """The arrays that were met while something was pickled."""

    def __init__(self) -> None:
        self._met: dict[int, Any] = {}
        self._shown: dict[int, tuple[Any, ...]] = {}

    def note(self, obj: Any) -> None:
        """Remember an object if it's an array."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and type(obj) is numpy.ndarray and obj.size:
            if obj.dtype.kind in _KINDS:
                self._met[id(obj)] = obj

    def share(self) -> bool:
        """Whether some of them share memory; `reduce` knows how to pickle them then."""
        for owner, arrays in self._by_owner():
            spans = sorted(_Span.of(array) for array in arrays)
            if any(other.first < one.end for one, other in pairwise(spans)):
                self._show(owner, arrays, _Span(spans[0].first, max(s.end for s in spans)))
        return bool(self._shown)

    def reduce(self, obj: Any) -> Any:
        """How an array that shows another's memory is pickled; `NotImplemented` for all others."""
        return self._shown.get(id(obj), NotImplemented)

    def _by_owner(self) -> Iterator[tuple[Any, list[Any]]]:
        numpy = sys.modules.get("numpy")
        found: dict[int, tuple[Any, list[Any]]] = {}
        for array in self._met.values():
            owner = array
            while type(base := _base(owner)) is getattr(numpy, "ndarray", None):
                owner = base
            if owner.flags.c_contiguous or owner.flags.f_contiguous:
                found.setdefault(id(owner), (owner, []))[1].append(array)
        return ((owner, arrays) for owner, arrays in found.values() if len(arrays) > 1)

    def _show(self, owner: Any, arrays: list[Any], span: _Span) -> None:
        """Have the arrays travel as parts of the owner, or of what of it they all lie in."""
        start = _Span.of(owner).first
        shown = owner
        if id(owner) not in self._met:
            size = owner.itemsize
            flat = owner.reshape(-1) if owner.flags.c_contiguous else owner.T.reshape(-1)
            shown = flat[(span.first - start) // size : -(-(span.end - start) // size)]
            start = _Span.of(shown).first
        if not shown.flags.writeable and any(array.flags.writeable for array in arrays):
            return  # it has become read-only since
        for array in arrays:
            if array is not shown:
                offset = array.__array_interface__["data"][0] - start
                place = offset, array.shape, array.strides, array.dtype
                self._shown[id(array)] = _part, (shown, place, array.flags.writeable)


def _base(array: Any) -> Any:
    """What an array shows the memory of; of sliding windows too (`as_strided`)."""
    base = array.base
    return getattr(base, "base", None) if type(base).__name__ == "DummyArray" else base


def _part(owner: Any, place: tuple[Any, ...], writeable: bool) -> Any:
    """The array that lies at a place of another."""
    numpy = sys.modules["numpy"]
    offset, shape, strides, dtype = place
    flat = owner if owner.flags.c_contiguous else owner.T
    if dtype.hasobject:
        first = flat.reshape(-1)[offset // dtype.itemsize :]
        return numpy.lib.stride_tricks.as_strided(first, shape, strides, writeable=writeable)
    made = numpy.ndarray(shape, dtype, flat, offset, strides)
    made.flags.writeable = writeable
    return made
