"""Locks, queues and shared values of `multiprocessing` for processes that exist already.

The standard library lets them go to a process only when it is started. Here they travel as handles:
a semaphore by its name, a segment of shared memory or a pipe by its place among the descriptors of
the process that has it, which the system lets others of the same user open (``/proc/PID/fd``).
"""

from __future__ import annotations

import os
import pickle
import stat
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import context
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final

from mpmagic.pool import codeobject

__all__ = ["DISPATCH_TABLE", "HANDLES", "Handle", "attachable"]

Reducer = Callable[[Any], tuple[Any, ...]]


class attachable:  # noqa: N801 - used like a function
    """Let objects that may be inherited only be pickled, as handles, by this thread.

    No generator: one that an interrupt strikes on the way in or out keeps what its caller holds.

    Parameters
    ----------
    pipes : bool
        Whether queues and pipes are among them, of which the order of putting and getting counts.
    """

    def __init__(self, *, pipes: bool = True) -> None:
        self._before: Any = context.get_spawning_popen()
        self._pipes = pipes

    def __enter__(self) -> None:
        if self._before is None:  # else a process is being started: they are inherited
            context.set_spawning_popen(_Attaching(pipes=self._pipes))  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        context.set_spawning_popen(self._before)


class Handle:
    """A descriptor of some process, by its number and by what it leads to."""

    def __init__(self, fd: int, pid: int = 0, inode: tuple[int, int] = (0, 0)) -> None:
        self._fd = fd
        self._pid = pid or os.getpid()
        self._inode = inode if pid else _inode(fd)

    def __reduce__(self) -> tuple[Any, ...]:
        return Handle, (self._fd, self._pid, self._inode)

    @property
    def key(self) -> tuple[int, int]:
        """What it leads to; the same for all descriptors that lead there."""
        return self._inode

    def detach(self) -> int:
        """Open it in this process."""
        path = f"/proc/{self._pid}/fd/{self._fd}"
        try:
            mode = int(_field(f"/proc/{self._pid}/fdinfo/{self._fd}", "flags:"), 8)
            fd = os.open(path, mode & os.O_ACCMODE | os.O_CLOEXEC)
        except OSError as error:
            raise _gone(self._pid) from error
        if _inode(fd) != self._inode:
            os.close(fd)
            raise _gone(self._pid)
        return fd


class _Attaching:
    """Stands where the standard library keeps the process that it starts at the moment."""

    DupFd = Handle

    def __init__(self, *, pipes: bool) -> None:
        self._pipes = pipes

    def duplicate_for_child(self, fd: int) -> int:
        """Say whether a pipe may be attached to; the descriptor stays as it is."""
        if not self._pipes:
            raise TypeError(
                "iterations that run at once would fill or empty a queue or a pipe in any order: "
                "put into it, or get from it, in a statement of the loop's body"
            )
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise TypeError(
                "a connection that goes both ways, or a socket, can't be attached to by a process "
                "that exists already: use a Queue, or Pipe(duplex=False)"
            )
        return fd


def _inode(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _field(path: str, name: str) -> str:
    with open(path) as file:
        return next(line for line in file if line.startswith(name)).split()[1]


def _gone(pid: int) -> RuntimeError:
    return RuntimeError(
        f"a queue or shared value of process {pid} can't be attached to: it has been closed there, "
        f"or this system has no /proc"
    )


def _reduce_semaphore(lock: Any) -> tuple[Any, ...]:
    if lock._semlock.name is None:
        raise TypeError(
            f"a {type(lock).__name__} that was made for the start method 'fork' has no name, and "
            f"can't be attached to by a process that exists already: make it, and the Value, Array "
            f"or Queue that it guards, by mpmagic.mp"
        )
    return _semaphore, (type(lock), lock.__getstate__())


_semaphores: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def _semaphore(kind: Any, state: tuple[Any, ...]) -> Any:
    """Give this process's object for a semaphore: one, for an RLock knows who of us holds it."""
    lock = _semaphores.get(state[-1])
    if lock is None:
        lock = kind.__new__(kind)
        lock.__setstate__(state)
        lock = _semaphores.setdefault(state[-1], lock)
    return lock


def _reduce_arena(arena: Any) -> tuple[Any, ...]:
    return _arena, (arena.size, Handle(arena.fd))


_arenas: weakref.WeakValueDictionary[tuple[int, int], Any] = weakref.WeakValueDictionary()


def _arena(size: int, handle: Handle) -> Any:
    """Give this process's mapping of a segment: one, each would hold a descriptor."""
    from multiprocessing.heap import Arena

    if (arena := _arenas.get(handle.key)) is None:
        fd = handle.detach()
        arena = Arena(size, fd)
        weakref.finalize(arena, os.close, fd).atexit = False
        _arenas[handle.key] = arena
    return arena


def _reduce_value(value: Any) -> tuple[Any, ...]:
    """Reduce an object of ctypes: one in shared memory as such, any other as it would be anyway."""
    if not hasattr(value, "_wrapper"):
        return value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)  # type: ignore[no-any-return]
    from multiprocessing.sharedctypes import reduce_ctype  # type: ignore[attr-defined]

    return reduce_ctype(value)  # type: ignore[no-any-return]


def _refuse(connection: Any) -> tuple[Any, ...]:
    raise TypeError("a connection belongs to its process: its descriptor is nothing to another")


class _Table(Mapping[type, Reducer]):
    """A view of the standard library's table of reducers.

    That fills as its modules are imported, and as classes of ctypes are shared.
    """

    def __iter__(self) -> Iterator[type]:
        return iter(_standard())

    def __len__(self) -> int:
        return len(_standard())


class _Handles(_Table):
    """Those for what processes share, while it is to be attached to."""

    def __getitem__(self, kind: type) -> Reducer:
        if not isinstance(context.get_spawning_popen(), _Attaching):
            raise KeyError(kind)
        if kind.__module__ == "multiprocessing.synchronize" and hasattr(kind, "_make_name"):
            return _reduce_semaphore
        reducer = _standard()[kind]
        name = getattr(reducer, "__name__", "")
        # What cloudpickle, or pickle itself, does better; and what other libraries have put there:
        # torch would send descriptors of its tensors' memory, and have it moved to get some.
        if name in _OTHERS or not reducer.__module__.startswith(_OWN):
            raise KeyError(kind)
        return _INSTEAD.get(name, reducer)


class _Refusals(_Table):
    """For connections elsewhere: pickled as plain data they would close others' descriptors."""

    def __getitem__(self, kind: type) -> Reducer:
        if kind.__name__ != "Connection" or kind not in _standard():
            raise KeyError(kind)
        return _refuse


def _standard() -> dict[type, Reducer]:
    return ForkingPickler._extra_reducers  # type: ignore[attr-defined,no-any-return]


_OTHERS: Final = frozenset(("_reduce_method", "_reduce_method_descriptor", "_reduce_partial"))
_OWN: Final = ("multiprocessing.", "mpmagic.")
_INSTEAD: Final[dict[str, Reducer]] = {
    "reduce_arena": _reduce_arena,
    "reduce_ctype": _reduce_value,
}

HANDLES: Final[Any] = _Handles()
"""Reducers to put behind those of a pickler, for what it pickles while all is `attachable`."""

DISPATCH_TABLE: Final[Any] = ChainMap(codeobject.DISPATCH_TABLE, HANDLES, _Refusals())  # type: ignore[arg-type]
"""The ``dispatch_table`` of a pickler for workers, which exist already."""
