"""Reading what a worker has left in its memory, with process_vm_readv(2).

The system lets a process read its descendants, unless a container or a policy forbids it.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from mpmagic.pool.message import Distant, Seal
from mpmagic.pool.parts import Room

__all__ = ["read_remote"]

_LARGEST_PIECE = 1 << 26
_MOST_PIECES = 512  # of one call: Linux takes 1,024, and less than 2 GiB
_MOST_BYTES = 1 << 29
_HUGE_PAGES_FROM = 1 << 21


class _Extent(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("start", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Piece(NamedTuple):
    source: int
    target: int
    size: int


def read_remote(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
    """Copy buffers of another process.

    Parameters
    ----------
    pid : int
        The process.
    seal : Seal
        What it holds, and no other process: its number may be another's by now.
    parts : sequence of Distant
        Where they are.

    Returns
    -------
    list of Room
        One for each part.

    Raises
    ------
    OSError
        If this process may not read the other one's memory, or the other one is gone.
    MemoryError
        If there's no room.
    """
    rooms = [_new_room(part.size) for part in parts]
    for batch in _batches(_pieces(parts, rooms)):
        _read(pid, seal, batch)
    return rooms


def _new_room(size: int) -> Room:
    """Make room for a buffer of so many bytes, as other arrays of that size have it."""
    if size < _HUGE_PAGES_FROM:
        return bytearray(size)
    room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a system without huge pages
        room.madvise(mmap.MADV_HUGEPAGE)
    return room


def _pieces(parts: Sequence[Distant], rooms: Sequence[Room]) -> Iterator[_Piece]:
    for part, room in zip(parts, rooms, strict=True):
        target = ctypes.addressof(ctypes.c_char.from_buffer(room))
        for start in range(0, part.size, _LARGEST_PIECE):
            size = min(_LARGEST_PIECE, part.size - start)
            yield _Piece(part.address + start, target + start, size)


def _batches(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    size = 0
    for piece in pieces:
        if len(batch) == _MOST_PIECES or size + piece.size > _MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += piece.size
    if batch:
        yield batch


def _read(pid: int, seal: Seal, batch: list[_Piece]) -> None:
    """Read one batch, and the seal with it: one call reads one process's memory."""
    found = bytearray(len(seal.nonce))
    with_seal = [
        _Piece(seal.address, ctypes.addressof(ctypes.c_char.from_buffer(found)), len(found)),
        *batch,
    ]
    here = _extents(_Extent(p.target, p.size) for p in with_seal)
    there = _extents(_Extent(p.source, p.size) for p in with_seal)
    count = _process_vm_readv()(pid, here, len(here), there, len(there), 0)
    if count < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if count != sum(p.size for p in with_seal) or found != seal.nonce:
        raise OSError(f"the memory of process {pid} can't be read")


def _extents(extents: Iterator[_Extent]) -> Any:
    listed = list(extents)
    return (_Extent * len(listed))(*listed)


@cache
def _process_vm_readv() -> Any:
    function = getattr(ctypes.CDLL(None, use_errno=True), "process_vm_readv", None)
    if function is None:
        raise OSError("this system's C library has no process_vm_readv")
    unsigned, extents = ctypes.c_ulong, ctypes.POINTER(_Extent)
    function.restype = ctypes.c_ssize_t
    function.argtypes = (ctypes.c_int, extents, unsigned, extents, unsigned, unsigned)
    return function
