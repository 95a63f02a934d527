"""The kernel in C that counts one byte value in a single pass, where it was compiled.

Called through `ctypes`, which releases the GIL, so that threads count side by side. Measured out of
a core's cache: 105 GB/s, where `numpy.equal` and `numpy.count_nonzero` make 22 and `bytes.count`
between 1 and 4.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["ByteCounter", "byte_counter"]

ByteCounter = Callable[[Any, int, int], int]
"""Called with the memory (bytes or an array of ctypes), its size, and the value."""


@functools.cache
def byte_counter() -> ByteCounter | None:
    """Load the kernel; None where there was no compiler when mpmagic was installed."""
    # A tree may be seen by machines of several kinds.
    library = Path(__file__).with_name(f"bytecount-{sys.platform}-{os.uname().machine}.so")
    if not library.exists():
        return None
    import ctypes  # a hundredth of a second, of which small counts know nothing

    try:
        count: Any = ctypes.CDLL(str(library)).mpmagic_count_byte
    except OSError:  # compiled for another libc
        return None
    count.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint8]
    count.restype = ctypes.c_size_t
    return count  # type: ignore[no-any-return]
