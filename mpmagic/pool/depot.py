"""The kernel's side of what is sent once: segments and parcels by their content."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mpmagic.pool.content import content_key
from mpmagic.pool.message import Inline, Pack, Part, Slice
from mpmagic.pool.parcel import Parcel
from mpmagic.pool.segment import Segment

if TYPE_CHECKING:
    from mpmagic.pool.pickling import Pickled

__all__ = ["SMALLEST_SEGMENT", "Cargo", "Depot", "PackedParcel"]

# Below this a segment costs more than sending the bytes through the socket.
SMALLEST_SEGMENT = 1 << 18
# A buffer of this size has a segment to itself, so that it is recognised whatever it comes with.
_SMALLEST_ALONE = 1 << 22
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

            pack, segments = self._pack(pickle_payload(parcel.payload), name=parcel.key)
            known = PackedParcel(parcel.key, pack, segments)
            self._parcels[parcel.key] = weakref.ref(known, _forget(self._parcels, parcel.key))
        return known

    def _pack(
        self, pickled: Pickled, *, name: bytes | None = None
    ) -> tuple[Pack, tuple[Segment, ...]]:
        buffers = [pickled.stream, *pickled.buffers]
        parts: list[Part | None] = [None] * len(buffers)
        segments = []
        for group in _groups(buffers):
            segment = self._segment([buffers[i] for i in group], name)
            if segment is None:
                continue
            segments.append(segment)
            for i, offset in zip(group, segment.layout.offsets, strict=True):
                view = buffers[i]
                parts[i] = Slice(segment.key, offset, view.nbytes, view.readonly)
        whole = (
            part or Inline(bytes(view), view.readonly)
            for part, view in zip(parts, buffers, strict=True)
        )
        return Pack(tuple(whole)), tuple(segments)

    def _segment(self, views: list[memoryview], name: bytes | None) -> Segment | None:
        """Find or make the segment with this content; None if there are too many."""
        key = content_key(views, helped=True)
        known: Segment | None = _alive(self._segments, key)
        if known is not None:
            return known
        if len(self._segments) >= _MOST_SEGMENTS:
            return None
        try:
            segment = Segment(key, views, helped=True)
        except OSError:  # out of descriptors or of memory for it: the socket will do
            return None
        self._segments[key] = weakref.ref(segment, _forget(self._segments, key))
        return segment


def _groups(buffers: list[memoryview]) -> Iterable[list[int]]:
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
