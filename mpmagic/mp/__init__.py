"""`multiprocessing`, for notebooks: the same names, for functions and classes of the notebook too.

::

    from mpmagic.mp import Process, Queue

Under each start method, "forkserver" (the default), "spawn" and "fork", a process gets what the
notebook has defined, what it prints appears under the cell that started it, and it ends with the
kernel.
"""

from __future__ import annotations

from multiprocessing import (
    AuthenticationError,
    BufferTooShort,
    ProcessError,
    TimeoutError,
    active_children,
    current_process,
    get_logger,
    log_to_stderr,
    parent_process,
    shared_memory,
)

from mpmagic.mp import sharedctypes
from mpmagic.mp.context import Process, default_context

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "active_children",
    "cpu_count",
    "current_process",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "set_forkserver_preload",
    "set_start_method",
    "shared_memory",
    "sharedctypes",
]

Array = default_context.Array
Barrier = default_context.Barrier
BoundedSemaphore = default_context.BoundedSemaphore
Condition = default_context.Condition
Event = default_context.Event
JoinableQueue = default_context.JoinableQueue
Lock = default_context.Lock
Manager = default_context.Manager
Pipe = default_context.Pipe
Pool = default_context.Pool
Queue = default_context.Queue
RLock = default_context.RLock
RawArray = default_context.RawArray
RawValue = default_context.RawValue
Semaphore = default_context.Semaphore
SimpleQueue = default_context.SimpleQueue
Value = default_context.Value
cpu_count = default_context.cpu_count
get_all_start_methods = default_context.get_all_start_methods
get_context = default_context.get_context
get_start_method = default_context.get_start_method
set_forkserver_preload = default_context.set_forkserver_preload
set_start_method = default_context.set_start_method
