"""The memory in which pandas keeps a frame or a series.

Two objects of pandas may share it: with copy-on-write, the one that is stored into gets memory of
its own first. An array that shares it isn't known to pandas, and sees what is stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

__all__ = ["arrays_of", "column_arrays", "copies_on_write", "holds_cells", "object_cells"]

_OF_EXTENSIONS: Final = ("_ndarray", "_data", "_mask")


def holds_cells(value: Any) -> bool:
    """Whether it is a frame or a series of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series)


def object_cells(value: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """What a frame or series holds that isn't kept as numbers, with the place for `iat`."""
    if value.ndim == 1:
        yield from (((row,), cell) for row, cell in _objects(value))
        return
    for column in range(value.shape[1]):
        yield from (((row, column), cell) for row, cell in _objects(value.iloc[:, column]))


def _objects(series: Any) -> Iterable[tuple[int, Any]]:
    return enumerate(series.array) if series.dtype == object else ()


def arrays_of(value: Any) -> list[Any]:
    """The arrays that hold the values of a frame or series; none of anything else."""
    if not holds_cells(value):
        return []
    numpy = sys.modules["numpy"]
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
