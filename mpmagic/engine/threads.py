"""Threads of the notebook's process that can be done without while they still run.

`concurrent.futures.ThreadPoolExecutor` waits for its threads, also at the interpreter's end. Here
a thread whose task nobody waits for any more loses its seat to another. KeyboardInterrupt is raised
in it, once, unless it may hold a lock that the whole process needs; if it hangs in compiled code,
or catches that, it runs on by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import queue
import sys
import threading
import types
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from enum import Enum
from functools import partial
from typing import Any, Final

__all__ = ["Threads"]

_LOCKING: Final = frozenset({"importlib", "logging", "mpmagic", "queue", "threading", "warnings"})
"""Modules whose functions hold locks that others wait for."""

_NO_SWITCH_SECONDS: Final = 10.0

Call = tuple[Future[Any], Callable[[], Any]]


class _State(Enum):
    """What a thread is doing."""

    IDLE = "waits"
    RUNNING = "runs a task"
    LEFT = "runs a task that nobody waits for any more"


class _Seat:
    """One thread."""

    def __init__(self, calls: queue.SimpleQueue[Call | None]) -> None:
        self._calls = calls
        self._state = _State.IDLE
        self._future: Future[Any] | None = None
        # A plain lock: no interrupt leaves that locked, as it may a condition.
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._serve, name="mpmagic-work", daemon=True)
        self.thread.start()

    def leave(self, future: Future[Any]) -> bool:
        """Take the task's future from the thread, if that is what it runs."""
        with self._lock:
            if self._future is not future or self._state is not _State.RUNNING:
                return False
            self._state = _State.LEFT
            _interrupt(self.thread.ident or 0)
        future.set_exception(KeyboardInterrupt())
        return True

    def _serve(self) -> None:
        while self._state is not _State.LEFT and (call := self._calls.get()) is not None:
            self._run(*call)

    def _run(self, future: Future[Any], call: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        result, error = None, None
        try:
            with self._lock:
                self._future, self._state = future, _State.RUNNING
            result = call()
        except BaseException as raised:
            error = raised
        if not self._end():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _end(self) -> bool:
        """Be interrupted no more; whether somebody still waits for the task."""
        while True:
            try:
                with self._lock:
                    if self._state is _State.LEFT:
                        return False
                    self._state, self._future = _State.IDLE, None
                return True
            except KeyboardInterrupt:
                continue


def _interrupt(ident: int) -> None:
    """Raise KeyboardInterrupt in a thread, unless it may hold a lock of the whole process.

    An interrupt in the middle of an import leaves the module locked, and who imports it next hangs.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_NO_SWITCH_SECONDS)  # it must not run on between the look and the strike
    try:
        if _is_in_work(sys._current_frames().get(ident)):
            _strike(ident)
    finally:
        sys.setswitchinterval(before)


def _is_in_work(frame: types.FrameType | None) -> bool:
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name == "__main__":
            return True
        if name.partition(".")[0] in _LOCKING:
            return False
        frame = frame.f_back
    return False


def _strike(ident: int) -> None:
    """Raise KeyboardInterrupt in a thread when it runs Python code again.

    Before Python 3.13 one flag tells all threads that there is an exception for one of them, and
    Python 3.11 runs no function while it is set if there is a tracer or profiler. A thread in
    compiled code may not come back, and a call that withdraws the exception sets the flag: only
    an exception that is raised puts it down, so that one is raised here. The other stays with its
    thread, which finds it when the threads take turns.
    """
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    with contextlib.suppress(_FlagDown):
        raise_in(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))
        # No Python function may be called in between.
        if sys.version_info < (3, 13):
            raise_in(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(_FlagDown))


class _FlagDown(BaseException):
    """What is raised for nobody."""


class Threads(Executor):
    """Persistent threads; they start with the first task.

    Parameters
    ----------
    count : int
        How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._seats: list[_Seat] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have the call made by one of the threads."""
        self._fill()
        future: Future[Any] = Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))
        return future

    def submit_each(self, fn: Callable[..., Any], /, *args: Any) -> list[Future[Any]]:
        """Have it made once by each thread; nothing else may be under way."""
        barrier = threading.Barrier(len(self._seats)) if self._seats else None

        def call() -> Any:
            if barrier is not None:
                barrier.wait()
            return fn(*args)

        return [self.submit(call) for _ in list(self._seats)]

    def leave(self, futures: Iterable[Future[Any]]) -> None:
        """Resolve these tasks now; the threads that run them end when they are done."""
        for future in futures:
            self._seats = [seat for seat in self._seats if not seat.leave(future)]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after the tasks that there are."""
        seats, self._seats = self._seats, []
        for _ in seats:
            self._calls.put(None)
        for seat in seats if wait else ():
            seat.thread.join()

    def _fill(self) -> None:
        while len(self._seats) < self.count:
            self._seats.append(_Seat(self._calls))
