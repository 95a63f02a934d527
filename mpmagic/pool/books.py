"""The supervisor's books on what one worker holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mpmagic.pool.depot import Cargo, PackedParcel
from mpmagic.pool.message import Drop, Hold, HoldParcel, Message
from mpmagic.pool.segment import Segment

__all__ = ["Books", "Shipment"]

# Small parcels would take for ever to fill the budget, and each is kept in the kernel too.
_MOST_PARCELS = 64


class Shipment(NamedTuple):
    """A message, the descriptors that go with it, and who owns them."""

    message: Message
    descriptors: tuple[int, ...] = ()
    owner: object = None


class Books:
    """Decides what has to be sent before a task, and what the worker lets go of for it.

    The decision is the kernel's: messages arrive in order, so what is dropped and what is held
    can never be misunderstood, and nobody has to ask.

    Parameters
    ----------
    budget : int
        Bytes that the worker may hold beyond what its present task needs.
    most_segments : callable
        Says how many segments it may hold, now that the kernel has so many open.
    """

    def __init__(self, budget: int, most_segments: Callable[[], int]) -> None:
        self._budget = budget
        self._most_segments = most_segments
        self._held: OrderedDict[tuple[type, bytes], Segment | PackedParcel] = OrderedDict()
        self._size = self._segments = self._parcels = 0

    def ship(self, cargo: Cargo) -> Iterator[Shipment]:
        """Yield what has to be sent ahead of a task with this cargo."""
        for segment in cargo.segments:
            if not self._has(segment):
                yield _hold(segment)
                self._add(segment)
        for parcel in cargo.parcels:
            if not self._has(parcel):
                yield from self._ship_parcel(parcel)
                self._add(parcel)
        yield from self._make_room({*map(_name, cargo.segments), *map(_name, cargo.parcels)})

    def forget_parcels(self, keys: Iterable[bytes]) -> None:
        """Note that the worker has dropped these by itself."""
        for key in keys:
            self._remove((PackedParcel, key))

    def _ship_parcel(self, parcel: PackedParcel) -> Iterator[Shipment]:
        # Mapped when the parcel arrives: the worker needs no descriptors of its segments later.
        new = [s for s in parcel.segments if (Segment, s.key) not in self._held]
        yield from map(_hold, new)
        yield Shipment(HoldParcel(parcel.key, parcel.pack))
        if new:
            yield Shipment(Drop(tuple(s.key for s in new), ()))

    def _make_room(self, needed: set[tuple[type, bytes]]) -> Iterator[Shipment]:
        dropped: list[tuple[type, bytes]] = []
        for name, thing in list(self._held.items()):
            if name not in needed and self._is_surplus(thing):
                self._remove(name)
                dropped.append(name)
        if dropped:
            segments = tuple(key for kind, key in dropped if kind is Segment)
            parcels = tuple(key for kind, key in dropped if kind is PackedParcel)
            yield Shipment(Drop(segments, parcels))

    def _is_surplus(self, thing: Segment | PackedParcel) -> bool:
        """Whether to drop it makes room that is needed."""
        if self._size > self._budget:
            return True
        if isinstance(thing, PackedParcel) and self._parcels > _MOST_PARCELS:
            return True
        return _segments_of(thing) > 0 and self._segments > self._most_segments()

    def _has(self, thing: Segment | PackedParcel) -> bool:
        name = _name(thing)
        if name not in self._held:
            return False
        self._held.move_to_end(name)
        return True

    def _add(self, thing: Segment | PackedParcel) -> None:
        self._held[_name(thing)] = thing
        self._count(thing, 1)

    def _remove(self, name: tuple[type, bytes]) -> None:
        if (thing := self._held.pop(name, None)) is not None:
            self._count(thing, -1)

    def _count(self, thing: Segment | PackedParcel, sign: int) -> None:
        self._size += sign * thing.size
        self._segments += sign * _segments_of(thing)
        self._parcels += sign * isinstance(thing, PackedParcel)


def _segments_of(thing: Segment | PackedParcel) -> int:
    """Count the segments that the kernel keeps open because of it."""
    return len(thing.segments) if isinstance(thing, PackedParcel) else 1


def _name(thing: Segment | PackedParcel) -> tuple[type, bytes]:
    return type(thing), thing.key


def _hold(segment: Segment) -> Shipment:
    hold = Hold(segment.key, segment.size, segment.stripe)
    return Shipment(hold, segment.descriptors, segment)
