"""What is set on frames and series beside their cells, which pickle leaves behind.

`groupby(...).apply` gives each group its key as ``group.name``, and anybody may set an attribute.
"""

from __future__ import annotations

from typing import Any

from mpmagic.run.framememory import holds_cells
from mpmagic.run.smallseries import reduce_small

__all__ = ["extra_attributes", "reduce_frame"]


def extra_attributes(value: Any) -> dict[str, Any]:
    """The attributes that aren't pandas' own."""
    return {name: part for name, part in vars(value).items() if not name.startswith("_")}


def reduce_frame(obj: Any) -> Any:
    """How one with such attributes, or a small one, is pickled; `NotImplemented` for others."""
    if not holds_cells(obj):
        return NotImplemented
    if not (extra := extra_attributes(obj)):
        return reduce_small(obj)
    function, arguments, state = obj.__reduce_ex__(5)[:3]
    return function, arguments, (state, extra), None, None, _set_state


def _set_state(obj: Any, state: tuple[Any, dict[str, Any]]) -> None:
    own, extra = state
    obj.__setstate__(own)
    for name, value in extra.items():
        object.__setattr__(obj, name, value)
