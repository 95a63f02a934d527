"""Arrays that the kernel and its processes read and write in place: `mpmagic.shared`.

The memory has no name. It belongs to whoever has it mapped, and is free when the last of them is
gone. What travels is a handle, by which a process maps the same memory; views of the array travel
as views. Only plain arrays of numpy are involved: what is computed from one is an ordinary array.
"""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from mpmagic.pool.attaching import Handle
from mpmagic.pool.codeobject import REDUCERS
from mpmagic.pool.segment import new_file

__all__ = ["is_shared_array", "shared"]


def shared(array: npt.ArrayLike) -> npt.NDArray[Any]:
    """Copy an array into memory that this process and those it works with have in common.

    Parameters
    ----------
    array : array_like
        Of any shape, and of any dtype but objects.

    Returns
    -------
    numpy.ndarray
        Of the same shape, dtype and values. Sent to a process of `mpmagic.mp`, to a worker of a
        pool, or captured by a loop under ``%%parallel``, it is not copied: all see what one
        stores. In such a loop a store into one of its items is made by the worker, at once. The
        memory is freed when the last array on it, in whatever process, is gone.

    Raises
    ------
    TypeError
        If it holds Python objects, which belong to one process.
    """
    source = np.asanyarray(array)
    if source.dtype.hasobject:
        raise TypeError(
            "an array of Python objects can't be shared: they belong to one process. Give it a "
            "dtype of numbers, dates, or strings of a fixed length"
        )
    order: Any = "F" if source.flags.fnc else "C"
    memory = _Memory.of(max(source.nbytes, 1))
    result: npt.NDArray[Any] = np.ndarray(source.shape, source.dtype, memory, order=order)
    result[...] = source
    return result


def is_shared_array(value: Any) -> bool:
    """Whether a value is such an array, or a view of one."""
    return type(value) is np.ndarray and _memory_of(value) is not None


class _Memory(mmap.mmap):
    """A segment, mapped into this process, with the handle by which others find it."""

    handle: Handle
    _fd: int

    @classmethod
    def of(cls, size: int) -> _Memory:
        """Make a segment."""
        fd = new_file(size)
        memory = _mapped(cls, fd, size)
        memory.handle = Handle(fd)
        # The descriptor is what others open; it stays as long as an array here uses the memory.
        weakref.finalize(memory, os.close, fd).atexit = False
        _memories[memory.handle.key] = memory
        return memory

    @classmethod
    def at(cls, handle: Handle, size: int) -> _Memory:
        """Give this process's mapping of a segment."""
        memory = _memories.get(handle.key)
        if memory is None:
            fd = handle.detach()
            try:
                memory = _mapped(cls, fd, size)
            finally:
                os.close(fd)
            memory.handle = handle
            _memories[handle.key] = memory
        return memory


def _mapped(kind: type[_Memory], fd: int, size: int) -> _Memory:
    if sys.version_info >= (3, 13):
        return kind(fd, size, trackfd=False)
    return kind(fd, size)


_memories: weakref.WeakValueDictionary[tuple[int, int], _Memory] = weakref.WeakValueDictionary()


def _memory_of(array: Any) -> _Memory | None:
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, _Memory) else None


def _reduce(array: npt.NDArray[Any]) -> Any:
    memory = _memory_of(array)
    if memory is None:
        return array.__reduce_ex__(5)
    offset = array.ctypes.data - np.frombuffer(memory, np.uint8).ctypes.data
    place = (offset, array.shape, array.strides, array.dtype, array.flags.writeable)
    return _array_at, (memory.handle, len(memory), *place)


def _array_at(
    handle: Handle,
    size: int,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    writeable: bool,
) -> npt.NDArray[Any]:
    memory = _Memory.at(handle, size)
    array: npt.NDArray[Any] = np.ndarray(shape, dtype, memory, offset, strides)
    array.flags.writeable = writeable
    return array


# Of the picklers of this package; any other copies the array.
REDUCERS[np.ndarray] = _reduce
