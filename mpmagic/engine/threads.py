"""Threads of the notebook's process that can be interrupted, and done without if that fails.

`concurrent.futures.ThreadPoolExecutor` waits for its threads at the interpreter's end and can't
stop them. Here KeyboardInterrupt is raised in a thread whose task shall end. One that hangs in
compiled code, or catches it, is left alone with what it does, and another takes its seat.
"""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from enum import Enum
from functools import partial
from typing import Any

__all__ = ["Threads"]

Call = tuple[Future[Any], Callable[[], Any]]


class _State(Enum):
    """What a thread is doing."""

    IDLE = "waits"
    RUNNING = "runs a task"
    STRUCK = "runs a task that is being interrupted"
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

    def interrupt(self, future: Future[Any]) -> None:
        """Raise KeyboardInterrupt in the thread, if that is what it runs."""
        with self._lock:
            if self._future is future and self._state is _State.RUNNING:
                self._state = _State.STRUCK
                _raise_in(self.thread.ident, KeyboardInterrupt)

    def leave(self, future: Future[Any]) -> bool:
        """Take the task's future from the thread, if that is what it runs."""
        with self._lock:
            if self._future is not future or self._state is _State.IDLE:
                return False
            self._state = _State.LEFT
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
                    _raise_in(threading.get_ident(), None)  # what is still on its way
                return True
            except KeyboardInterrupt:
                continue


def _raise_in(ident: int | None, kind: type[BaseException] | None) -> None:
    raised = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident or 0), raised)


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

    def interrupt(self, futures: Iterable[Future[Any]]) -> None:
        """Raise KeyboardInterrupt in the threads that run these tasks."""
        for future in futures:
            if not future.cancel():
                for seat in self._seats:
                    seat.interrupt(future)

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
