"""A pickle with its out-of-band buffers, and what identifies it."""

from __future__ import annotations

import pickle
from typing import Any

from mpmagic.pool import in_worker
from mpmagic.pool.content import content_key

__all__ = ["Packed", "bytes_of", "digest"]


class Packed:
    """A pickle with its out-of-band buffers.

    Parameters
    ----------
    data
        The pickle.
    buffers
        What it refers to, in order.
    refers
        Whether it refers to what the other side has.

    Attributes
    ----------
    finished
        Of the log of a chunk: whether its work has come to its end.
    """

    __slots__ = ("buffers", "data", "finished", "refers")

    def __init__(self, data: bytes, buffers: tuple[Any, ...] = (), *, refers: bool = False) -> None:
        self.data = data
        self.buffers = buffers
        self.refers = refers
        self.finished = False

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        raws = [pickle.PickleBuffer(b).raw() for b in self.buffers]
        writable = tuple(not raw.readonly for raw in raws)
        wrap = pickle.PickleBuffer if protocol >= 5 else bytes
        buffers = tuple(wrap(b) for b in self.buffers)
        return _packed, (self.data, buffers, writable, self.refers, self.finished)

    def apart(self) -> Packed:
        """The same in memory of its own: what is made of it shares none with what it's made of."""
        made = Packed(self.data, tuple(map(_copied, self.buffers)), refers=self.refers)
        made.finished = self.finished
        return made

    @property
    def nbytes(self) -> int:
        """Size in bytes, buffers included."""
        return len(self.data) + sum(memoryview(b).nbytes for b in self.buffers)


def _packed(
    data: bytes, buffers: tuple[Any, ...], writable: tuple[bool, ...], *state: bool
) -> Packed:
    """What came; of some transports memory comes read-only, whatever it was."""
    pairs = zip(buffers, writable, strict=True)
    own = tuple(bytearray(b) if w and memoryview(b).readonly else b for b, w in pairs)
    refers, finished = state
    made = Packed(data, own, refers=refers)
    made.finished = finished
    return made


def _copied(buffer: Any) -> bytes | bytearray:
    raw = pickle.PickleBuffer(buffer).raw()
    return bytes(raw) if raw.readonly else bytearray(raw)


def bytes_of(buffer: Any) -> memoryview:
    """The bytes of a buffer; a copy of those that don't lie in one piece."""
    view = memoryview(buffer)
    return view.cast("B") if view.contiguous else memoryview(bytes(view))


def digest(packed: Packed) -> bytes:
    """A digest of the content, 16 bytes. Equal content may have several, different never one."""
    views = (memoryview(packed.data), *map(bytes_of, packed.buffers))
    return content_key(views, helped=not in_worker())
