"""`multiprocessing.sharedctypes`, with locks that processes of every start method can enter."""

from __future__ import annotations

from multiprocessing import sharedctypes as standard
from multiprocessing.sharedctypes import RawArray, RawValue, copy
from typing import Any

from mpmagic.mp.context import default_context, named

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

Array = default_context.Array
Value = default_context.Value


def synchronized(obj: Any, lock: Any = None) -> Any:
    """Wrap an object in shared memory together with a lock.

    Parameters
    ----------
    obj : object of ctypes
        What `RawValue` or `RawArray` gave.
    lock : Lock or RLock, optional
        By default a new RLock.
    """
    return standard.synchronized(obj, lock, ctx=named)
