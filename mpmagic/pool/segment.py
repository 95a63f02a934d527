"""Anonymous shared memory: large buffers, written once and mapped by whoever needs them.

A segment has no name, only a descriptor, so it can't outlive the processes that hold one, and the
size of /dev/shm doesn't matter to it.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from mpmagic.pool.filling import fill, stripe_of

__all__ = [
    "Layout",
    "Segment",
    "map_private",
    "map_shared",
    "map_striped",
    "new_file",
    "read_copy",
]

_ALIGNMENT = 64  # a cache line; vector code likes it and numpy doesn't mind
_LARGEST_READ = 1 << 30  # Linux reads 2 GiB less a page at most
# Linux, whose segments alone have several files; the module `mmap` lacks them.
_MAP_FIXED = 0x10
_MAP_NORESERVE = 0x4000


def new_file(size: int) -> int:
    """Make an anonymous file of `size` bytes; give its descriptor, closed on exec."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("mpmagic", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Layout:
    """Where in a segment each of several buffers lies."""

    __slots__ = ("offsets", "size")

    def __init__(self, sizes: Iterable[int]) -> None:
        self.offsets: list[int] = []
        self.size = 0
        for size in sizes:
            self.offsets.append(self.size)
            self.size += -(-size // _ALIGNMENT) * _ALIGNMENT


class Segment:
    """Files in memory that live as long as this object, or a process that was sent them.

    Parameters
    ----------
    key : bytes
        Names the content: equal keys, equal bytes.
    buffers : sequence of memoryview
        What to copy into it, one after the other, as `Layout` says.
    helped : bool
        Whether other processors may take a share of that; a large segment has several files then.

    Attributes
    ----------
    size : int
        In bytes.
    stripe : int
        Bytes of it in each file but the last.
    """

    __slots__ = ("__weakref__", "_files", "key", "layout", "size", "stripe")

    def __init__(self, key: bytes, buffers: Sequence[memoryview], *, helped: bool = False) -> None:
        self.key = key
        self.layout = Layout(len(b) for b in buffers)
        self.size = self.layout.size
        self.stripe = stripe_of(self.size, helped=helped)
        starts = range(0, max(self.size, 1), self.stripe)
        self._files = [_File(min(self.stripe, self.size - start)) for start in starts]
        fill(self._files, self.stripe, list(zip(self.layout.offsets, buffers, strict=True)))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Those of its files."""
        return tuple(file.fd for file in self._files)


class _File:
    """Closes its descriptor when it is garbage.

    Not the segment itself: `__del__` runs while weak references still work, so another thread
    could find a segment whose descriptor is being closed.
    """

    __slots__ = ("fd",)

    def __init__(self, size: int) -> None:
        self.fd = -1
        self.fd = new_file(size)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def map_private(fd: int, size: int) -> mmap.mmap:
    """Map a segment writable, copy-on-write: what is stored stays in this process."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, access=mmap.ACCESS_COPY, trackfd=False)
    return mmap.mmap(fd, size, access=mmap.ACCESS_COPY)


def map_striped(descriptors: Sequence[int], size: int, stripe: int) -> mmap.mmap:
    """Map a segment in the same way, its files one behind the other.

    Parameters
    ----------
    descriptors : sequence of int
        Those of its files.
    size, stripe : int
        Bytes of the segment, and of each file but the last.
    """
    if len(descriptors) == 1:
        return map_private(descriptors[0], size)
    # The files are mapped over it, and when it's garbage all that is in its place is unmapped.
    whole = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    for start, fd in zip(range(0, size, stripe), descriptors, strict=True):
        _map_over(whole, start, min(stripe, size - start), fd)
    return whole


def _map_over(whole: mmap.mmap, start: int, size: int, fd: int) -> None:
    import ctypes

    address = ctypes.addressof(ctypes.c_char.from_buffer(whole, start))
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    if _mmap()(address, size, protection, mmap.MAP_PRIVATE | _MAP_FIXED, fd, 0) != address:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _mmap() -> Any:
    """The system's own: the module's maps wherever there is room."""
    import ctypes

    function = ctypes.CDLL(None, use_errno=True).mmap
    function.restype = ctypes.c_void_p
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    return function


def map_shared(fd: int, size: int) -> mmap.mmap:
    """Map a segment so that what is stored is seen by all that map it so."""
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, trackfd=False)
    return mmap.mmap(fd, size)


def read_copy(fd: int, offset: int, size: int) -> bytearray:
    """Copy a part of a segment into ordinary memory."""
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        count = os.preadv(fd, [view[done : done + _LARGEST_READ]], offset + done)
        if not count:
            raise EOFError(f"a segment of shared memory ends {size - done} bytes early")
        done += count
    return data
