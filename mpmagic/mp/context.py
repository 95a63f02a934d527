"""The contexts of `mpmagic.mp`: a start method, and all that is made by it."""

from __future__ import annotations

import multiprocessing
from multiprocessing import context, process
from typing import Any, Final

from mpmagic.mp.forkserver import server
from mpmagic.pool.cpus import cpu_count

__all__ = ["Context", "Process", "default_context"]


class Process(process.BaseProcess):
    """A process that runs a function, or its own `run`, started by the default context.

    `multiprocessing.Process` in all but what it can run: functions, classes, lambdas and closures
    of the notebook too, and instances of subclasses that were written there.

    Parameters
    ----------
    group : None
    target : callable, optional
        What `run` calls.
    name : str, optional
    args, kwargs
        For `target`.
    daemon : bool, optional
        Whether it is ended when the program ends, instead of waited for.
    """

    _start_method: str | None = None

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        return default_context.get_context().Process._Popen(process_obj)


class ForkProcess(context.ForkProcess):
    """A `Process` that is started by a fork."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        from mpmagic.mp.popen import ForkPopen

        return ForkPopen(process_obj)


class SpawnProcess(context.SpawnProcess):
    """A `Process` that is started in a new interpreter."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        from mpmagic.mp.popen import SpawnPopen

        return SpawnPopen(process_obj)


class ForkServerProcess(context.ForkServerProcess):
    """A `Process` that is forked by a small process without threads."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        from mpmagic.mp.popen import ForkServerPopen

        return ForkServerPopen(process_obj)


named: Final = multiprocessing.get_context("spawn")


class Context(context.BaseContext):
    """What `multiprocessing` offers, for one start method."""

    _name: str
    Process: Any

    cpu_count = staticmethod(cpu_count)

    def get_context(self, method: str | None = None) -> Any:
        """Give the context of a start method; by default this one.

        Parameters
        ----------
        method : str, optional
            "forkserver", "spawn" or "fork".

        Raises
        ------
        ValueError
            For any other.
        """
        if method is None:
            return self
        if method not in _contexts:
            known = ", ".join(map(repr, _contexts))
            raise ValueError(f"there is no start method {method!r}; there are {known}")
        return _contexts[method]

    def get_all_start_methods(self) -> list[str]:
        """Give the start methods, the default one first."""
        return list(_contexts)

    def set_forkserver_preload(self, module_names: list[str]) -> None:
        """Name modules that the fork server imports when it starts: before the first process."""
        server.preload(module_names)

    # Semaphores of the fork method are anonymous: whoever didn't inherit them can't get at them.
    # These have a name, whatever the method, so that loops and pools can use them too.
    Lock = named.Lock
    RLock = named.RLock
    Semaphore = named.Semaphore
    BoundedSemaphore = named.BoundedSemaphore
    Condition = named.Condition
    Event = named.Event
    Barrier = named.Barrier
    Value = named.Value
    Array = named.Array

    # What carries objects

    def Pipe(self, duplex: bool = True) -> Any:
        """Give the two ends of a pipe; see `mpmagic.mp.connections.pipe`."""
        from mpmagic.mp.connections import pipe

        return pipe(duplex)

    def Queue(self, maxsize: int = 0) -> Any:
        """Make a queue of at most `maxsize` objects; 0 for any number."""
        from mpmagic.mp.queues import Queue

        return Queue(maxsize, ctx=named)

    def JoinableQueue(self, maxsize: int = 0) -> Any:
        """Make a queue that can be waited for until all that was put has been dealt with."""
        from mpmagic.mp.queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=named)

    def SimpleQueue(self) -> Any:
        """Make a queue without a thread: `put` waits until the object is in the pipe."""
        from mpmagic.mp.queues import SimpleQueue

        return SimpleQueue(ctx=named)

    def Pool(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
    ) -> Any:
        """Make a pool of workers; `mpmagic.mp.pool.Pool` says what differs from the usual one."""
        from mpmagic.mp.pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def Manager(self) -> Any:
        """Start a process that holds lists, dictionaries, locks and queues for others."""
        from mpmagic.mp.managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager


class ForkContext(Context):
    _name = "fork"
    Process = ForkProcess


class SpawnContext(Context):
    _name = "spawn"
    Process = SpawnProcess


class ForkServerContext(Context):
    _name = "forkserver"
    Process = ForkServerProcess


# The default is the first one, on every version of Python: a kernel has threads, so a fork of it
# may hang, and a new interpreter takes longer.
_contexts: Final[dict[str, Context]] = {
    c._name: c for c in (ForkServerContext(), SpawnContext(), ForkContext())
}


class DefaultContext(Context):
    """The context of the names in `mpmagic.mp`: that of a start method which can be set."""

    Process = Process

    def __init__(self) -> None:
        self._actual: str | None = None

    def get_context(self, method: str | None = None) -> Any:
        """Give the context of a start method; by default the one that is in use."""
        return super().get_context(method or self.get_start_method())

    def get_start_method(self, allow_none: bool = False) -> Any:
        """Give the start method that is in use; None, if that is allowed, as long as none is."""
        if self._actual is None and not allow_none:
            self._actual = next(iter(_contexts))
        return self._actual

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Choose the start method of processes, queues and pools that are made from now on.

        Parameters
        ----------
        method : str or None
            "forkserver", "spawn" or "fork"; None for the default.
        force : bool
            Whether it may be chosen again. In a notebook, a cell that runs again needs this.

        Raises
        ------
        RuntimeError
            If another one is in use already.
        """
        if method is not None:
            super().get_context(method)  # is there such a method?
        if self._actual not in (None, method) and not force:
            raise RuntimeError(
                f"the start method is {self._actual!r} already: set_start_method({method!r}, "
                f"force=True) changes it, get_context({method!r}) gives another beside it"
            )
        self._actual = method


default_context: Final = DefaultContext()
