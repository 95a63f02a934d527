"""A value that is sent once to each worker, whatever number of tasks uses it."""

from __future__ import annotations

from typing import Any

__all__ = ["Parcel"]


class Parcel:
    """A payload under a key that names its content.

    Put into the arguments of a task, at any depth, it travels to each worker of an
    `mpmagic.Pool` once: a worker that holds the key gets the key alone, and its tasks all see the
    same payload object. Other executors pickle it as an ordinary value.

    Parameters
    ----------
    key : bytes
        Equal keys must mean equal payloads: a digest of the content.
    payload : object
        Must be picklable; buffers that pickle out of band (protocol 5) travel in shared memory.
    """

    __slots__ = ("__weakref__", "key", "payload")

    def __init__(self, key: bytes, payload: Any) -> None:
        self.key = key
        self.payload = payload

    def __repr__(self) -> str:
        return f"Parcel({self.key.hex()[:12]}…, {type(self.payload).__name__})"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if protocol >= 5:
            return Parcel, (self.key, self.payload)
        # multiprocessing pickles with protocol 4, which knows no PickleBuffer.
        import cloudpickle

        return _unwrap, (self.key, cloudpickle.dumps(self.payload, protocol=5))


def _unwrap(key: bytes, stream: bytes) -> Parcel:
    import pickle

    return Parcel(key, pickle.loads(stream))
