"""What the user can see of frames and what belongs to them, without what pandas keeps in caches.

Looking into a frame changes its pickle: pandas remembers locations, resolutions and groups inside
its objects. This gives pickles that differ only where what can be seen does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.run.codec import Encoder

__all__ = ["SeenEncoder", "holds_frames"]

_GROUPED: Final = ("obj", "keys", "level", "as_index", "sort", "group_keys", "observed", "dropna",
                   "axis", "_selection")  # fmt: skip


def holds_frames(modules: Iterable[str]) -> bool:
    """Whether a pickle that needs these modules holds objects of pandas."""
    return any(name.partition(".")[0] == "pandas" for name in modules)


class SeenEncoder(Encoder):
    """Pickles that are compared and never read: objects of pandas as they are seen."""

    def reducer_override(self, obj: Any) -> Any:
        """The visible parts of an object of pandas; everything else as it is sent."""
        parts = _parts(obj) if str(type(obj).__module__).partition(".")[0] == "pandas" else None
        if parts is None:
            return super().reducer_override(obj)
        return _seen, (type(obj).__qualname__, *parts)


def _seen(*parts: Any) -> Any:
    """Stands in a pickle for an object's class; nobody unpickles it."""
    return parts


def _parts(value: Any) -> tuple[Any, ...] | None:
    pandas = sys.modules["pandas"]
    if isinstance(value, pandas.DataFrame):
        columns = list(value._iter_column_arrays())
        return value.columns, value.index, columns, value.attrs, value.flags.allows_duplicate_labels
    if isinstance(value, pandas.Series):
        return value.index, value.array, value.name, value.attrs
    if isinstance(value, pandas.Index):
        return _index_parts(value)
    if isinstance(value, pandas.api.extensions.ExtensionDtype):
        if isinstance(value, pandas.CategoricalDtype):
            return value.categories, value.ordered
        return (str(value),)
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        stored = getattr(value, "_ndarray", None)
        return None if stored is None else (stored, value.dtype, getattr(value, "freq", None))
    if isinstance(value, pandas.core.groupby.GroupBy):
        return tuple(vars(value).get(name) for name in _GROUPED)
    return None


def _index_parts(value: Any) -> tuple[Any, ...]:
    pandas = sys.modules["pandas"]
    if isinstance(value, pandas.MultiIndex):
        return list(value.levels), list(value.codes), list(value.names)
    if isinstance(value, pandas.RangeIndex):
        return value.start, value.stop, value.step, value.name
    return value.array, value.name
