"""Columns of pandas' that Arrow holds: sent as they lie in memory.

pandas copies one before it's pickled, as a part of a larger one would take all of that with it
(https://issues.apache.org/jira/browse/ARROW-10739). A column that is all that its memory holds
needn't be copied; each cell looks at what it captures, so that this is most of its time.
"""

from __future__ import annotations

import copyreg
import sys
from typing import Any, Final

__all__ = ["reduce_column"]

_ARROW: Final = "pandas.core.arrays.arrow.array"
_SPARE_BYTES: Final = 64  # the offsets of texts are one more than the texts


def reduce_column(obj: Any) -> Any:
    """How such a column is pickled; `NotImplemented` for anything else."""
    kind = type(obj)
    if not str(kind.__module__).startswith("pandas."):
        return NotImplemented
    arrow: Any = getattr(sys.modules.get(_ARROW), "ArrowExtensionArray", None)
    if arrow is None or not isinstance(obj, arrow) or not _is_pickled_like(kind, arrow):
        return NotImplemented
    chunks = obj._pa_array
    if chunks.num_chunks != 1:
        return NotImplemented
    whole = chunks.chunk(0)
    if whole.offset or whole.get_total_buffer_size() > whole.nbytes + _SPARE_BYTES:
        return NotImplemented
    state = {**vars(obj), "_pa_array": whole}
    if "_cache" in state:
        state["_cache"] = {}
    return copyreg.__newobj__, (kind,), state  # type: ignore[attr-defined]


def _is_pickled_like(kind: type, arrow: type) -> bool:
    ways = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
    return all(getattr(kind, way, None) is getattr(arrow, way, None) for way in ways)
