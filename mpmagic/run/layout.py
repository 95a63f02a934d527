"""Arrays that don't lie in one piece: they arrive with gaps where they had gaps.

pickle makes one piece of them. Sums, and products of `einsum` and BLAS, go over memory in another
order then, and may differ in their last bits.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

__all__ = ["Layout", "laid_out", "layout_of", "reduce_strided"]


class Layout(NamedTuple):
    """How an array lies in memory.

    Attributes
    ----------
    order
        The axes, the one with the longest steps first.
    gaps
        For each of these whether there is memory between what is one step apart on it.
    flipped
        The axes along which it lies backwards.
    """

    order: tuple[int, ...]
    gaps: tuple[bool, ...]
    flipped: tuple[int, ...] = ()


def layout_of(array: Any) -> Layout | None:
    """The layout of an array of numbers; None of one in the order of its axes, without gaps."""
    if array.flags.c_contiguous or array.dtype.hasobject or 0 in array.strides:
        return None
    steps = [abs(stride) for stride in array.strides]
    order = sorted(range(array.ndim), key=lambda axis: -steps[axis])
    gaps, filled = [], array.itemsize
    for axis in reversed(order):
        size, step = array.shape[axis], steps[axis]
        gaps.append(size > 1 and step != filled)
        filled = step * size if size > 1 else filled  # steps along one element mean nothing
    flipped = tuple(axis for axis, stride in enumerate(array.strides) if stride < 0)
    return Layout(tuple(order), tuple(reversed(gaps)), flipped)


def laid_out(values: Any, layout: Layout) -> Any:
    """The same values in other memory, as a layout says."""
    numpy = sys.modules["numpy"]
    packed = numpy.flip(values, layout.flipped).transpose(layout.order)
    inner = packed.shape[1:]
    wider = [size + gap for size, gap in zip((*inner, 1), layout.gaps, strict=True)]
    memory = numpy.empty((packed.shape[0], *wider), packed.dtype)
    inside = memory[(slice(None), *map(slice, inner), 0)]
    inside[...] = packed
    back = sorted(range(packed.ndim), key=layout.order.__getitem__)
    return numpy.flip(inside.transpose(back), layout.flipped)


def _broadcast(values: Any, shape: tuple[int, ...]) -> Any:
    return sys.modules["numpy"].broadcast_to(values, shape)


def reduce_strided(obj: Any) -> Any:
    """How an array with gaps is pickled; `NotImplemented` for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(obj) is not numpy.ndarray or obj.flags.f_contiguous:
        return NotImplemented
    if 0 in obj.strides and not obj.flags.writeable and not obj.dtype.hasobject:
        once = tuple(slice(1) if stride == 0 else slice(None) for stride in obj.strides)
        return _broadcast, (obj[once], obj.shape)
    if (layout := layout_of(obj)) is None:
        return NotImplemented
    return laid_out, (numpy.ascontiguousarray(obj), layout)
