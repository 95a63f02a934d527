"""What a worker's heap keeps of the memory that was freed."""

from __future__ import annotations

import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD = -1  # malloc.h's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD
_MMAP_THRESHOLD = -3
_LARGEST = 32 << 20
_KEPT = 2 * _LARGEST


def keep_freed_memory() -> None:
    """Have the C library use freed memory again, as it does in a process that has run for long.

    The notebook's has come by itself to the highest thresholds that there are (`man mallopt`, of
    the dynamic threshold): it keeps up to 64 MB. In a young process each temporary array is made of
    new pages. Of a mask of a frame's 2 million rows, 2,500 of them took 6 ms of 15.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _KEPT)
