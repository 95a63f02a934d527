"""Rows of frames, which are many, and small: pickled by their values, and a label for the index.

pickle takes 40 microseconds for a row and 120 to make it again, most of that for the index, which
all rows of a frame share. By its bytes, the other side knows it from the row before.
"""

from __future__ import annotations

import functools
import pickle
import sys
from typing import Any, Final

from mpmagic.run.layout import Layout, laid_out

__all__ = ["reduce_small"]

_MOST: Final = 256
_KINDS: Final = "biufcO"
"""Of numpy's types those whose arrays hold what the series does."""

_TIGHT: Final = Layout((0,), (False,))
_LOOSE: Final = Layout((0,), (True,))

_packed: tuple[Any, bytes] = (None, b"")
"""The index that was packed last."""


def reduce_small(obj: Any) -> Any:
    """How a small plain series is pickled; `NotImplemented` for anything else."""
    pandas = sys.modules.get("pandas")
    if pandas is None or type(obj) is not pandas.Series or obj.size > _MOST:
        return NotImplemented
    kind = getattr(obj.dtype, "kind", "")
    if not isinstance(obj.dtype, sys.modules["numpy"].dtype) or kind not in _KINDS:
        return NotImplemented
    if obj.attrs or not obj.flags.allows_duplicate_labels:
        return NotImplemented
    label = _label(obj.index, pandas)
    if not label:
        return NotImplemented
    values = obj.values
    held = tuple(values) if kind == "O" else values.tobytes()  # with less ado than an array
    return _small, (held, values.dtype.str, values.flags.c_contiguous, obj.name, label)


def _label(index: Any, pandas: Any) -> bytes:
    """The bytes of an index; none if what it holds might not be found on the other side."""
    global _packed
    known, packed = _packed
    if known is not None and index.is_(known) and index.names == known.names:
        return packed
    if type(index) is pandas.Index:
        plain = index.inferred_type in ("string", "integer", "floating")
    else:
        plain = type(index) is pandas.RangeIndex
    packed = pickle.dumps(index, 5) if plain else b""
    _packed = index, packed
    return packed


def _small(held: Any, dtype: str, contiguous: bool, name: Any, label: bytes) -> Any:
    index = _index(label).view()  # whose names may be set
    numpy, pandas = sys.modules["numpy"], sys.modules["pandas"]
    if isinstance(held, bytes):
        values = laid_out(numpy.frombuffer(held, dtype), _TIGHT if contiguous else _LOOSE)
    else:
        values = numpy.empty(len(held), dtype)
        for place, value in enumerate(held):  # a list is one value
            values[place] = value
    return pandas.Series(values, index=index, name=name, dtype=values.dtype, copy=False)


@functools.lru_cache(maxsize=64)
def _index(label: bytes) -> Any:
    return pickle.loads(label)
