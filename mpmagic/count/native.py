"""The kernel in C that counts one byte value in a single pass, where it was compiled.

Called through `ctypes`, which releases the GIL, so that threads count side by side. Measured out of
a core's cache: 105 GB/s, where `numpy.equal` and `numpy.count_nonzero` make 22 and `bytes.count`
between 1 and 4. Reading a file in C, too, costs the GIL once for many blocks, so that a block may
be as small as that cache: two threads count a file in the page cache as fast as two of Python's
read it.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["ByteCounter", "FileCounter", "byte_counter", "file_counter"]

ByteCounter = Callable[[Any, int, int], int]
"""Called with the memory (bytes or an array of ctypes), its size, and the value."""

FileCounter = Callable[[int, int, int, Any, int, int, Any], int]
"""Called with the descriptor, the offset and the size of a stretch, the memory for a block, the
block's size, the value, and an array for the count of each block; gives how many bytes it read."""


@functools.cache
def byte_counter() -> ByteCounter | None:
    """Load the kernel; None where there was no compiler when mpmagic was installed."""
    if (library := _library()) is None:
        return None
    import ctypes

    count: Any = library.mpmagic_count_byte
    count.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint8]
    count.restype = ctypes.c_size_t
    return count  # type: ignore[no-any-return]


@functools.cache
def file_counter() -> FileCounter | None:
    """The same for a stretch of a file."""
    if (library := _library()) is None:
        return None
    import ctypes

    count: Any = library.mpmagic_count_file
    stretch = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    count.argtypes = [*stretch, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint8, ctypes.c_void_p]
    count.restype = ctypes.c_int64
    return count  # type: ignore[no-any-return]


@functools.cache
def _library() -> Any:
    # A tree may be seen by machines of several kinds.
    library = Path(__file__).with_name(f"bytecount-{sys.platform}-{os.uname().machine}.so")
    if not library.exists():
        return None
    import ctypes  # a hundredth of a second, of which small counts know nothing

    try:
        loaded = ctypes.CDLL(str(library))
    except OSError:  # compiled for another libc
        return None
    # One that was compiled for an earlier version of mpmagic lacks what that hadn't.
    return loaded if hasattr(loaded, "mpmagic_count_file") else None
