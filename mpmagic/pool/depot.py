"""The kernel's side of what is sent once: segments and parcels by their content."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mpmagic.pool.content import content_key
from mpmagic.pool.message import Inline, Pack, Part, Slice
from mpmagic.pool.newsegments import new_segments
from mpmagic.pool.parcel import Parcel
from mpmagic.pool.segment import Segment

if TYPE_CHECKING:
    from mpmagic.pool.pickling import Pickled

__all__ = ["SMALLEST_SEGMENT", "Cargo", "Depot", "PackedParcel"]

# Below this a segment costs more than sending the bytes through the socket.
SMALLEST_SEGMENT = 1 << 18
# A buffer of this size has a segment to itself, so that it is recognised whatever it comes with.
_SMALLEST_ALONE = 1 << 22
_FEW_SEGMENTS = 50  # as long as there are no more, large ones have a descriptor for each stripe
_MANY_SEGMENTS = 100
_MOST_SEGMENTS = 200  # descriptors in the kernel, of which it usually may have 1,024


class Cargo(NamedTuple):
    """A pickled object and what has to be with it wherever it is opened."""

    pack: Pack
    segments: tuple[Segment, ...] = ()
    parcels: tuple[PackedParcel, ...] = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PackedParcel:
    """A parcel's payload, ready to be sent to any worker."""

    key: bytes
    pack: Pack
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return self.pack.size


class Depot:
    """Knows which segments and parcels exist, and lets go of those that nobody holds.

    It keeps weak references only. A segment is held by the tasks that need it and by the books
    on what each worker has; when the last of them lets go, the memory is free.
    """

    def __init__(self) -> None:
        self._segments: dict[bytes, weakref.ref[Segment]] = {}
        self._parcels: dict[bytes, weakref.ref[PackedParcel]] = {}

    def most_held(self, workers: int) -> int:
        """Say how many segments each of so many workers may hold, now that there are so many."""
        if len(self._segments) <= _MANY_SEGMENTS:
            return _MOST_SEGMENTS
        # Its share, not none: else the last one to look would let go of all that it has.
        return _MANY_SEGMENTS // max(workers, 1)

    def pack_call(self, call: tuple[Any, ...]) -> Cargo:
        """Pickle a task in the calling thread: it sees its arguments as they are now."""
        from mpmagic.pool.pickling import pickle_task

        pickled = pickle_task(call)
        pack, segments = self._pack(pickled)
        return Cargo(pack, segments, tuple(self._packed(p) for p in pickled.parcels))

    def _packed(self, parcel: Parcel) -> PackedParcel:
        known: PackedParcel | None = _alive(self._parcels, parcel.key)
        if known is None:
            from mpmagic.pool.pickling import pickle_payload

            pack, segments = self._pack(pickle_payload(parcel.payload))
            known = PackedParcel(parcel.key, pack, segments)
            self._parcels[parcel.key] = weakref.ref(known, _forget(self._parcels, parcel.key))
        return known

    def _pack(self, pickled: Pickled) -> tuple[Pack, tuple[Segment, ...]]:
        buffers = [pickled.stream, *pickled.buffers]
        parts: list[Part | None] = [None] * len(buffers)
        groups = _groups(buffers)
        found = self._held([[buffers[i] for i in group] for group in groups])
        for group, segment in zip(groups, found, strict=True):
            if segment is None:
                continue
            for i, offset in zip(group, segment.layout.offsets, strict=True):
                view = buffers[i]
                parts[i] = Slice(segment.key, offset, view.nbytes, view.readonly)
        segments = tuple(segment for segment in found if segment is not None)
        whole = (
            part or Inline(bytes(view), view.readonly)
            for part, view in zip(parts, buffers, strict=True)
        )
        return Pack(tuple(whole)), segments

    def _held(self, groups: list[list[memoryview]]) -> list[Segment | None]:
        """Find or make the segments with these contents; None for what gets none."""
        keys = [content_key(views, helped=True) for views in groups]
        held: dict[bytes, Segment | None] = {k: _alive(self._segments, k) for k in keys}
        missing = {k: views for k, views in zip(keys, groups, strict=True) if held[k] is None}
        spare = _MOST_SEGMENTS - len(self._segments)  # without one, the socket will do
        wanted = dict(itertools.islice(missing.items(), max(spare, 0)))
        for segment in new_segments(wanted, helped=len(self._segments) < _FEW_SEGMENTS):
            key = segment.key
            held[key] = segment
            self._segments[key] = weakref.ref(segment, _forget(self._segments, key))
        return [held[key] for key in keys]


def _groups(buffers: list[memoryview]) -> list[list[int]]:
    """Say which buffers share a segment; those that nobody names stay with the message."""
    if sum(b.nbytes for b in buffers) < SMALLEST_SEGMENT:
        return []
    large = [i for i, b in enumerate(buffers) if b.nbytes >= _SMALLEST_ALONE]
    rest = [i for i, b in enumerate(buffers) if b.nbytes < _SMALLEST_ALONE]
    groups = [[i] for i in large]
    if sum(buffers[i].nbytes for i in rest) >= SMALLEST_SEGMENT:
        groups.append(rest)
    return groups


def _alive(table: dict[bytes, weakref.ref[Any]], key: bytes) -> Any:
    reference = table.get(key)
    return None if reference is None else reference()


def _forget(table: dict[bytes, weakref.ref[Any]], key: bytes) -> Any:
    def forget(reference: weakref.ref[Any]) -> None:
        # Only this reference: a new segment of the same content may have taken its place.
        if table.get(key) is reference:
            table.pop(key, None)

    return forget
