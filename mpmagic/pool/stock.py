"""A worker's side of what is sent once: the segments and parcels that it holds."""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from collections.abc import Callable
from typing import Any

from mpmagic.pool.message import Drop, Hold, HoldParcel, Inline, Pack, Part, Slice
from mpmagic.pool.parcel import Parcel
from mpmagic.pool.parts import inline, view_of
from mpmagic.pool.segment import Layout, map_striped
from mpmagic.pool.untouched import Untouched

__all__ = ["Stock"]


class Stock:
    """What this worker has been sent and not been told to drop.

    Parameters
    ----------
    on_mapping : callable
        Is told how many bytes were mapped, or, negative, unmapped.

    Attributes
    ----------
    untouched : Untouched
        Which of its segments nobody has stored into.
    """

    def __init__(self, on_mapping: Callable[[int], None]) -> None:
        self._segments: dict[bytes, tuple[Hold, list[int]]] = {}  # with its descriptors
        self._payloads: dict[bytes, tuple[Pack, dict[bytes, mmap.mmap]]] = {}
        self._parcels: dict[bytes, Parcel] = {}
        self._thrown_away: list[bytes] = []
        self._on_mapping = on_mapping
        self.untouched = Untouched()

    def hold(self, message: Hold, descriptors: list[int]) -> None:
        self._segments[message.key] = (message, descriptors)

    def hold_parcel(self, message: HoldParcel) -> None:
        """Keep a payload; it is opened by the task that first asks for it."""
        # Mapped now: the segments may be dropped before anybody asks.
        self._payloads[message.key] = (message.payload, self._mappings(message.payload))

    def drop(self, message: Drop) -> None:
        for key in message.segments:
            _, descriptors = self._segments.pop(key)
            for fd in descriptors:
                os.close(fd)
        for key in message.parcels:
            self._payloads.pop(key, None)
            self._parcels.pop(key, None)

    def load(self, pack: Pack) -> Any:
        """Unpickle a task; its buffers are mapped afresh, whatever the last task did to them."""
        return _unpickle(pack, self._mappings(pack))

    def parcel(self, key: bytes) -> Parcel:
        """Give the parcel; the same object to every task."""
        parcel = self._parcels.get(key)
        if parcel is None:
            parcel = Parcel(key, _unpickle(*self._payloads[key]))
            self._parcels[key] = parcel
            # The stream has done its work; the payload keeps the mappings it uses.
            self._payloads.pop(key)
        return parcel

    def throw_away(self, key: bytes) -> None:
        """Drop a parcel by the task's own wish; the kernel will send it again."""
        if self._parcels.pop(key, None) is not None or self._payloads.pop(key, None) is not None:
            self._thrown_away.append(key)

    def take_thrown_away(self) -> tuple[bytes, ...]:
        keys = tuple(self._thrown_away)
        self._thrown_away.clear()
        return keys

    def _mappings(self, pack: Pack) -> dict[bytes, mmap.mmap]:
        mappings: dict[bytes, mmap.mmap] = {}
        for part in pack.parts:
            if isinstance(part, Slice) and part.segment not in mappings:
                assert isinstance(part.segment, bytes)
                (_, size, stripe), descriptors = self._segments[part.segment]
                self._on_mapping(size)
                mappings[part.segment] = mapping = map_striped(descriptors, size, stripe)
                weakref.finalize(mapping, self._on_mapping, -size).atexit = False
                if Layout([part.size]).size == size:
                    self.untouched.note(mapping, part.size, part.segment)
        return mappings


def _unpickle(pack: Pack, mappings: dict[bytes, mmap.mmap]) -> Any:
    stream, *buffers = (_buffer(part, mappings) for part in pack.parts)
    return pickle.loads(stream, buffers=buffers)


def _buffer(part: Part, mappings: dict[bytes, mmap.mmap]) -> Any:
    if isinstance(part, Inline):
        return inline(part)
    assert isinstance(part, Slice)
    assert isinstance(part.segment, bytes)
    whole = memoryview(mappings[part.segment])
    return view_of(whole[part.offset : part.offset + part.size], part)
