"""Equality of arrays and frames: dtype, shape, bits, labels and whether they can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Rule = Callable[[Any, Any, str], str | None]


def array_rule(value: Any) -> Rule | None:
    """How values of numpy's types are compared; None where they are ordinary objects."""
    if isinstance(value, np.ndarray):
        return _arrays
    if isinstance(value, np.generic):
        return _scalars
    if isinstance(value, np.dtype):
        return lambda a, b, where: None if a == b else f"{where}: dtype {a} became {b}"
    if isinstance(value, np.random.Generator):
        return lambda a, b, where: _compared(a.bit_generator.state, b.bit_generator.state, where)
    if isinstance(value, np.random.RandomState):
        return lambda a, b, where: _compared(a.get_state(), b.get_state(), where)
    return None


def frame_rule(value: Any) -> Rule | None:
    """How values of pandas' types are compared; None where they are ordinary objects."""
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return _frames
    if isinstance(value, pd.Series):
        return _series
    if isinstance(value, pd.Index):
        return _indexes
    return lambda a, b, where: None if a is b or a == b else f"{where}: {a!r} became {b!r}"


def _compared(a: Any, b: Any, where: str) -> str | None:
    from tests.deep import difference

    return difference(a, b, where)


def _arrays(a: Any, b: Any, where: str) -> str | None:
    for name in ("dtype", "shape"):
        if getattr(a, name) != getattr(b, name):
            return f"{where}.{name}: {getattr(a, name)} became {getattr(b, name)}"
    if a.flags.writeable != b.flags.writeable:
        return f"{where}: writeable={a.flags.writeable} became writeable={b.flags.writeable}"
    if a.dtype.hasobject:
        return _compared(a.tolist(), b.tolist(), where)
    if a.tobytes() == b.tobytes():
        return None
    return f"{where}: {_listed(a)} became {_listed(b)}"


def _listed(array: Any) -> str:
    return np.array2string(array, threshold=20, floatmode="unique")


def _scalars(a: Any, b: Any, where: str) -> str | None:
    return None if a.tobytes() == b.tobytes() else f"{where}: {a!r} became {b!r}"


def _frames(a: Any, b: Any, where: str) -> str | None:
    if found := _indexes(a.columns, b.columns, f"{where}.columns"):
        return found
    if found := _indexes(a.index, b.index, f"{where}.index"):
        return found
    for i, name in enumerate(a.columns):
        if found := _series(a.iloc[:, i], b.iloc[:, i], f"{where}[{name!r}]"):
            return found
    return _compared(dict(a.attrs), dict(b.attrs), f"{where}.attrs")


def _series(a: Any, b: Any, where: str) -> str | None:
    if a.dtype != b.dtype or a.name != b.name:
        return f"{where}: {a.dtype} {a.name!r} became {b.dtype} {b.name!r}"
    if found := _indexes(a.index, b.index, f"{where}.index"):
        return found
    return _values(a.array, b.array, where)


def _indexes(a: Any, b: Any, where: str) -> str | None:
    if type(a) is not type(b) or a.dtype != b.dtype or list(a.names) != list(b.names):
        return f"{where}: {a!r} became {b!r}"
    return _compared(list(a), list(b), where)


def _values(a: Any, b: Any, where: str) -> str | None:
    left, right = np.asarray(a), np.asarray(b)
    if left.dtype.hasobject or right.dtype.hasobject:
        return _compared(left.tolist(), right.tolist(), where)
    if left.tobytes() == right.tobytes() and left.dtype == right.dtype:
        return None
    return f"{where}: {_listed(left)} became {_listed(right)}"
