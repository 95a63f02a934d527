"""What a pool's calls give at once: the results that will be there."""

from __future__ import annotations

import builtins
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from multiprocessing import ProcessError, TimeoutError
from queue import Empty, SimpleQueue
from typing import Any

from mpmagic.errors import WorkerDied
from mpmagic.pool.latch import Latch

__all__ = ["AsyncResult", "IMapIterator", "IMapUnorderedIterator"]

Callback = Callable[[Any], object] | None
Call = Future[Any]


class AsyncResult:
    """The result of a call of a pool, once there is one.

    Parameters
    ----------
    calls : list of Future
        The tasks that it is made of.
    join : callable
        Makes the result of their results.
    callback, error_callback : callable, optional
        One of them is called with the result, or with what was raised, before `ready` says yes.
    """

    def __init__(
        self,
        calls: list[Call],
        join: Callable[[list[Any]], Any],
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> None:
        self._calls = calls
        self._join = join
        self._callbacks = {True: callback, False: error_callback}
        self._done = Latch()
        self._left = itertools.count(len(calls) - 1, -1)
        self._settled = {"": True}
        for call in calls:
            call.add_done_callback(self._on_done)
        if not calls:
            self._settle()

    @property
    def calls(self) -> list[Call]:
        """The tasks; none once it has ended."""
        return self._calls

    def ready(self) -> bool:
        """Say whether the call has ended."""
        return self._done.is_open

    def successful(self) -> bool:
        """Say whether it ended without an exception.

        Raises
        ------
        ValueError
            If it has not ended.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._success

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the call has ended, `timeout` seconds at most."""
        self._done.wait(timeout)

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the result and give it, or raise what the call raised.

        Raises
        ------
        multiprocessing.TimeoutError
            If there is none after `timeout` seconds; the call goes on.
        mpmagic.errors.WorkerDied
            If the process that ran it died.
        multiprocessing.ProcessError
            If the pool was terminated before.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"no result within {timeout} s; the call goes on")
        if self._success:
            return self._value
        raise self._value

    def _on_done(self, call: Call) -> None:
        # All calls end before the result is there, whatever they raise. Only the death of a
        # worker is told at once.
        if next(self._left) == 0 or isinstance(_error_of(call), WorkerDied):
            self._settle()

    def _settle(self) -> None:
        if not self._settled.pop("", False):
            return
        error = next(filter(None, map(_error_of, filter(Future.done, self._calls))), None)
        self._success = error is None
        self._value = self._join([c.result() for c in self._calls]) if error is None else error
        self._calls = []
        try:
            if (callback := self._callbacks[self._success]) is not None:
                callback(self._value)
        finally:
            self._done.open()


def _error_of(call: Call) -> BaseException | None:
    try:
        error = call.exception()
    except CancelledError as cancelled:
        error = cancelled
    if isinstance(error, (CancelledError, KeyboardInterrupt)):
        stopped = ProcessError("the call was stopped: its pool was terminated, or it interrupted")
        stopped.__cause__ = error
        return stopped
    return error


class IMapIterator:
    """The results of `imap`, in the order of the items."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[Call | None] = SimpleQueue()
        self._head: Call | None = None
        self._items: list[Any] = []
        self._is_whole = False

    def add(self, call: Call) -> None:
        """Take the next task; its result is a list."""
        self._arrived.put(call)

    def close(self) -> None:
        """Take no more."""
        self._arrived.put(None)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Give the next result, or raise what its call raised.

        Raises
        ------
        multiprocessing.TimeoutError
            If there is none after `timeout` seconds; it may be asked for again.
        StopIteration
            If there are no more.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._items:
            call = self._next_call(end)
            if (error := _error_of(call)) is not None:
                raise error
            self._items = list(reversed(call.result()))
        return self._items.pop()

    def _next_call(self, end: float | None) -> Call:
        """Wait for the next task that has ended."""
        call = self._head or self._take(end)
        if call is None:
            self.close()  # for whoever asks again
            raise StopIteration
        self._head = call  # until it has ended
        try:
            call.exception(_left(end))
        except CancelledError:
            pass
        except builtins.TimeoutError:
            raise _late() from None
        self._head = None
        return call

    def _take(self, end: float | None) -> Call | None:
        try:
            return self._arrived.get(timeout=_left(end))
        except Empty:
            raise _late() from None


class IMapUnorderedIterator(IMapIterator):
    """The results of `imap_unordered`, as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited = 0

    def add(self, call: Call) -> None:
        self._awaited += 1
        call.add_done_callback(self._arrived.put)

    def _take(self, end: float | None) -> Call | None:
        # The end may be told before the last tasks have ended.
        while not (self._is_whole and self._awaited == 0):
            if (call := super()._take(end)) is not None:
                self._awaited -= 1
                return call
            self._is_whole = True
        return None


def _left(end: float | None) -> float | None:
    return None if end is None else max(end - time.monotonic(), 0.0)


def _late() -> TimeoutError:
    return TimeoutError("no result within the time given; the call goes on")
