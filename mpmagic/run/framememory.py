"""The memory in which pandas keeps a frame or a series.

Two objects of pandas may share it: with copy-on-write, the one that is stored into gets memory of
its own first. An array that shares it isn't known to pandas, and sees what is stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["arrays_of", "column_arrays", "copies_on_write"]

_OF_EXTENSIONS: Final = ("_ndarray", "_data", "_mask")


def arrays_of(value: Any) -> list[Any]:
    """The arrays that hold the values of a frame or series; none of anything else."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is None or not isinstance(value, pandas.DataFrame | pandas.Series):
        return []
    assert numpy is not None
    found = []
    for array in value._mgr.arrays:
        parts = [array, *(getattr(array, name, None) for name in _OF_EXTENSIONS)]
        found += [part for part in parts if isinstance(part, numpy.ndarray)]
    return found


def column_arrays(frame: Any, columns: Iterable[str]) -> list[Any]:
    """The arrays that hold those of some columns which the frame has."""
    held = [column for column in columns if column in frame.columns]
    return [array for column in held for array in arrays_of(frame[column])]


def copies_on_write() -> bool:
    """Whether what is stored into an object of pandas is never seen in another one."""
    pandas = sys.modules["pandas"]
    if int(pandas.__version__.partition(".")[0]) >= 3:
        return True
    return bool(pandas.options.mode.copy_on_write is True)
