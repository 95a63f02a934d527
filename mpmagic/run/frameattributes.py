"""What pickle leaves behind of frames and series: attributes, and how their cells lie in memory.

`groupby(...).apply` gives each group its key as ``group.name``, and anybody may set an attribute.
Parts of frames have gaps, see `layout`.
"""

from __future__ import annotations

import sys
from typing import Any

from mpmagic.run.framememory import holds_cells
from mpmagic.run.layout import Layout, laid_out, layout_of
from mpmagic.run.smallseries import reduce_small

__all__ = ["extra_attributes", "reduce_frame"]


def extra_attributes(value: Any) -> dict[str, Any]:
    """The attributes that aren't pandas' own."""
    return {name: part for name, part in vars(value).items() if not name.startswith("_")}


def reduce_frame(obj: Any) -> Any:
    """How a frame or series is pickled; `NotImplemented` if pandas does all of it."""
    if not holds_cells(obj):
        return NotImplemented
    extra = extra_attributes(obj)
    if not extra and (reduced := reduce_small(obj)) is not NotImplemented:
        return reduced
    layouts = _layouts(obj)
    if not extra and not layouts:
        return NotImplemented
    function, arguments, state = obj.__reduce_ex__(5)[:3]
    return function, arguments, (state, extra, layouts), None, None, _set_state


def _layouts(obj: Any) -> dict[int, Layout]:
    """The layouts of blocks of which pandas would make one piece."""
    values = enumerate(block.values for block in obj._mgr.blocks)
    numpy = sys.modules["numpy"]
    found = {i: layout_of(v) for i, v in values if type(v) is numpy.ndarray}
    return {i: layout for i, layout in found.items() if layout is not None}


def _set_state(obj: Any, state: tuple[Any, dict[str, Any], dict[int, Layout]]) -> None:
    own, extra, layouts = state
    obj.__setstate__(own)
    for number, layout in layouts.items():
        block = obj._mgr.blocks[number]
        block.values = laid_out(block.values, layout)
    for name, value in extra.items():
        object.__setattr__(obj, name, value)
