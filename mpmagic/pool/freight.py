"""What comes back: packed by a worker, unpacked in the kernel.

Buffers of results and reports aren't recognised by content, each is used once. Large results stay
in place (`inplace.py`) where the kernel may read them there. Else, and in reports, up to 16 MB are
copied into ordinary memory on arrival; larger buffers stay where the worker wrote them, and are
freed with the array that uses them. They are mapped copy-on-write: a process that is forked from
the notebook later has memory of its own, as of any other array.
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mpmagic.pool.message import Inline, Pack, Part, Slice
from mpmagic.pool.parts import Room, inline, view_of
from mpmagic.pool.segment import Segment, map_private, read_copy

if TYPE_CHECKING:
    from mpmagic.pool.pickling import Pickled

__all__ = ["Unopened", "pack_freight"]

_SMALLEST_SEGMENT = 1 << 18
_LARGEST_COPY = 1 << 24
_MOST_ALONE = 32  # descriptors in one message
_MOST_MAPPINGS = 100  # each may hold a descriptor of the kernel


def pack_freight(pickled: Pickled) -> tuple[Pack, list[Segment]]:
    """Lay out a result; the segments' descriptors go with the message, in this order."""
    views = [pickled.stream, *pickled.buffers]
    parts: list[Part | None] = [None] * len(views)
    segments: list[Segment] = []
    for group in _groups([v.nbytes for v in views]):
        segment = Segment(b"", [views[i] for i in group])
        for i, offset in zip(group, segment.layout.offsets, strict=True):
            parts[i] = Slice(len(segments), offset, views[i].nbytes, views[i].readonly)
        segments.append(segment)
    whole = (
        part or Inline(bytes(view), view.readonly) for part, view in zip(parts, views, strict=True)
    )
    return Pack(tuple(whole)), segments


def _groups(sizes: list[int]) -> list[list[int]]:
    if sum(sizes) < _SMALLEST_SEGMENT:
        return []
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    alone = [i for i in by_size[:_MOST_ALONE] if sizes[i] > _LARGEST_COPY]
    rest = by_size[len(alone) :]
    return [[i] for i in alone] + ([rest] if rest else [])


class Unopened:
    """A result that has arrived and has not been unpickled.

    Unpickling runs the user's code, which may raise or hang: that happens in the thread that asks
    for the result, never in the supervisor.
    """

    __slots__ = ("_buffers",)

    def __init__(self, buffers: list[Any]) -> None:
        self._buffers = buffers

    @classmethod
    def of_segments(cls, pack: Pack, descriptors: list[int]) -> Unopened:
        """Take over what came with a message; its descriptors are closed, whatever happens."""
        try:
            mappings = _map_large(pack, descriptors)
            return cls([_buffer(part, mappings, descriptors) for part in pack.parts])
        finally:
            for fd in descriptors:
                os.close(fd)

    @classmethod
    def of_rooms(cls, pack: Pack, rooms: Iterable[Room]) -> Unopened:
        """Take over what has been read in place."""
        room = iter(rooms)
        return cls(
            [inline(p) if isinstance(p, Inline) else view_of(next(room), p) for p in pack.parts]
        )

    def open(self) -> Any:
        stream, *buffers = self._buffers
        return pickle.loads(stream, buffers=buffers)


_mappings: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def _map_large(pack: Pack, descriptors: list[int]) -> dict[int, mmap.mmap]:
    mapped: dict[int, mmap.mmap] = {}
    for part in pack.parts:
        if (
            isinstance(part, Slice)
            and isinstance(part.segment, int)
            and part.size > _LARGEST_COPY
            and len(_mappings) < _MOST_MAPPINGS
            and part.segment not in mapped
        ):
            fd = descriptors[part.segment]
            mapped[part.segment] = mapping = map_private(fd, os.fstat(fd).st_size)
            _mappings.add(mapping)
    return mapped


def _buffer(part: Part, mapped: dict[int, mmap.mmap], descriptors: list[int]) -> Any:
    if isinstance(part, Inline):
        return inline(part)
    assert isinstance(part, Slice)
    assert isinstance(part.segment, int)
    if part.segment in mapped:
        whole = memoryview(mapped[part.segment])
        return view_of(whole[part.offset : part.offset + part.size], part)
    return view_of(read_copy(descriptors[part.segment], part.offset, part.size), part)
