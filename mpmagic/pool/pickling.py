"""Objects to streams and buffers, on the way to a worker and back.

Imported when the first task is submitted, not with the pool: cloudpickle takes longer to import
than everything else here.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cloudpickle
from cloudpickle import cloudpickle as internals

from mpmagic.pool.attaching import DISPATCH_TABLE, attachable
from mpmagic.pool.parcel import Parcel

__all__ = ["Pickled", "pickle_payload", "pickle_result", "pickle_task"]

# A buffer below this is cheaper inside the stream than as a part of its own.
_SMALLEST_BUFFER = 1 << 14


class Pickled(NamedTuple):
    """An object as bytes."""

    stream: memoryview
    buffers: tuple[memoryview, ...]
    parcels: tuple[Parcel, ...] = ()


def pickle_task(call: tuple[Any, ...]) -> Pickled:
    """Pickle a function and its arguments; parcels leave only their key in the stream."""
    with attachable():
        return _pickle(_TaskPickler, call)


def pickle_payload(payload: Any) -> Pickled:
    """Pickle what is in a parcel."""
    with attachable():
        return _pickle(_Pickler, payload)


def pickle_result(value: Any) -> Pickled:
    """Pickle what goes back from a worker to the kernel."""
    return _pickle(_ResultPickler, value)


def _pickle(pickler: Callable[[Any], _Pickler], value: Any) -> Pickled:
    file = io.BytesIO()
    job = pickler(file)
    job.dump(value)
    # Not getbuffer(): a collection that meets it may free the file first, and complain on stderr.
    stream = memoryview(file.getvalue())
    return Pickled(stream, tuple(job.buffers), tuple(job.parcels.values()))


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle with out-of-band buffers, of those that are worth it."""

    dispatch_table = DISPATCH_TABLE

    def __init__(self, file: io.BytesIO) -> None:
        self.buffers: list[memoryview] = []
        self.parcels: dict[bytes, Parcel] = {}
        # Not a method of ours: the cycle would keep all that was pickled until the next collection.
        super().__init__(file, protocol=5, buffer_callback=partial(_keep_in_band, self.buffers))


def _keep_in_band(buffers: list[memoryview], buffer: pickle.PickleBuffer) -> bool:
    """Say whether a buffer stays in the stream; note it if it doesn't."""
    view = buffer.raw()
    if view.nbytes < _SMALLEST_BUFFER:
        return True
    buffers.append(view)
    return False


class _TaskPickler(_Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Parcel:
            self.parcels[obj.key] = obj
            return _held_parcel, (obj.key,)
        return super().reducer_override(obj)


class _ResultPickler(_Pickler):
    """Sends the kernel's own classes back as references.

    By value, unpickling an instance would run cloudpickle's setter of class attributes on the
    kernel's class: what the notebook has changed in it since would be silently undone.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type) and (origin := _origin(obj)) is not None:
            return _kernel_class, origin
        return super().reducer_override(obj)


# Classes that were made in this worker: the kernel has never seen them.
_sent_by_value: set[str] = set()


def _origin(kind: type) -> tuple[str, str, str] | None:
    """Say how the kernel knows a class, if it came from there."""
    if internals._should_pickle_by_reference(kind):
        return None
    tracker = internals._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(kind)
    if tracker is None:
        _sent_by_value.add(internals._get_or_create_tracker_id(kind))
        return None
    if tracker in _sent_by_value:
        return None
    return tracker, kind.__module__, kind.__qualname__


def _kernel_class(tracker: str, module: str, name: str) -> type:
    """Find, in the kernel, the class that a worker got from it."""
    kind = internals._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
    if kind is None:
        # Defined again, and the one that was sent is gone: the present one of that name.
        kind = sys.modules[module]
        for part in name.split("."):
            kind = getattr(kind, part)
    return kind  # type: ignore[no-any-return]


def _held_parcel(key: bytes) -> Parcel:
    """Find, in a worker, the parcel of which only the key was sent."""
    from mpmagic.pool.context import current_worker

    return current_worker().stock.parcel(key)
