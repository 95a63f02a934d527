"""The future of a task: safe under KeyboardInterrupt, unpickled by whoever asks for the result.

The standard library's `Future` guards its state with a Condition; an interrupt at the wrong
bytecode leaves that locked, and then the thread that resolves the future hangs. Here the state is
decided by taking the one token out of a dict, which is atomic, and waiting is done on a `Latch`.
The Condition remains for `concurrent.futures.wait` and `as_completed`, which insist on it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import _base as states
from typing import Any, Generic, TypeVar, cast

from mpmagic.pool.latch import Latch

__all__ = ["Outcome", "TaskFuture"]

T = TypeVar("T")
Loaded = tuple[Any, BaseException | None]

# Nobody holds a future's condition for longer than it takes to look at all futures of a wait().
_LOCK_SECONDS = 2.0


class Outcome:
    """What became of a task; unpickled at most when somebody asks.

    Parameters
    ----------
    load : callable
        Gives the result, or the exception if `is_failure`; never raises an Exception.
    is_failure : bool
        Whether the task failed.
    """

    __slots__ = ("_load", "_opened", "is_failure")

    def __init__(self, load: Callable[[], Loaded], *, is_failure: bool = False) -> None:
        self._load: Callable[[], Loaded] | None = load
        self._opened: dict[str, Loaded] = {}
        self.is_failure = is_failure

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        return cls(lambda: (None, error), is_failure=True)

    def open(self) -> Loaded:
        """Give (value, error); the same objects each time."""
        load = self._load
        if load is not None:
            # Two threads may load it; the first to get here decides, without a lock that an
            # interrupt could leave locked.
            self._opened.setdefault("", load())
            self._load = None  # it holds the bytes
        return self._opened[""]


class TaskFuture(Future[T], Generic[T]):
    """The result of a task of an `mpmagic.Pool`, once there is one.

    Attributes
    ----------
    worker : int or None
        Process number of the worker that runs or ran the task.
    """

    def __init__(self, number: int, on_cancel: Callable[[TaskFuture[Any]], None]) -> None:
        super().__init__()
        self.number = number
        self.worker: int | None = None
        self._claim = {"": True}
        self._done = Latch()
        self._outcome: Outcome | None = None
        self._callbacks: deque[Callable[[Future[T]], object]] = deque()
        self._on_cancel = on_cancel

    # For whoever holds the future

    def cancel(self) -> bool:
        """Cancel the task unless it has begun; say whether it is cancelled."""
        if self.claim():
            # Seen by this thread at once; who waits hears of it from the notifier. Interrupted
            # between these lines, it is settled when the pool comes to it and can't claim it.
            self._state = states.CANCELLED
            self._on_cancel(self)
        return self.cancelled()

    def cancelled(self) -> bool:
        return self._state in (states.CANCELLED, states.CANCELLED_AND_NOTIFIED)

    def running(self) -> bool:
        return self._state == states.RUNNING

    def done(self) -> bool:
        return self._state not in (states.PENDING, states.RUNNING)

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result and give it, or raise what the task raised.

        Raises
        ------
        TimeoutError
            If there is none after `timeout` seconds.
        CancelledError
            If the task was cancelled.
        """
        value, error = self._wait(timeout)
        if error is None:
            return cast(T, value)
        try:
            raise error
        finally:
            del error, self  # else the traceback's frame keeps both in a cycle

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end of the task and give what it raised, or None."""
        return self._wait(timeout)[1]

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Have `fn(future)` called in the pool's callback thread, or now if the task has ended."""
        self._callbacks.append(fn)
        if self._done.is_open:
            self.run_callbacks()

    def _wait(self, timeout: float | None) -> tuple[Any, BaseException | None]:
        if self._state == states.CANCELLED:
            raise CancelledError
        if not self._done.wait(timeout):
            raise TimeoutError
        if self._outcome is None:
            raise CancelledError
        return self._outcome.open()

    def _get_snapshot(self) -> tuple[bool, bool, Any, BaseException | None]:
        # asyncio.wrap_future asks for this on Python 3.14.
        if not self._done.is_open:
            return False, False, None, None
        if self._outcome is None:
            return True, True, None, None
        return (True, False, *self._outcome.open())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} state={self._state.lower()}>"

    # For the pool

    def claim(self) -> bool:
        """Take the right to decide: True for one caller, who then runs or cancels the task."""
        return self._claim.pop("", False)

    def start(self, worker: int) -> None:
        self.worker = worker
        self._state = states.RUNNING

    def settle(self, outcome: Outcome | None) -> None:
        """Resolve the future; None is cancelled. For the notifier's thread."""
        condition = self._own_condition()
        try:
            if self._done.is_open:
                return
            self._outcome = outcome
            self._state = states.FINISHED if outcome else states.CANCELLED_AND_NOTIFIED
            self._done.open()
            self._tell_waiters()
            condition.notify_all()
        finally:
            condition.release()

    def settle_at_once(self, outcome: Outcome) -> bool:
        """Resolve without ever blocking; False if somebody looks on with a lock of their own."""
        condition = self._condition
        if not condition.acquire(blocking=False):
            return False
        try:
            if self._waiters:
                return False
            if not self._done.is_open:
                self._outcome = outcome
                self._state = states.FINISHED
                self._done.open()
            return True
        finally:
            condition.release()

    @property
    def has_callbacks(self) -> bool:
        return bool(self._callbacks)

    def run_callbacks(self) -> None:
        """Call what was added; each once, whichever threads come here."""
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return
            try:
                callback(self)
            except BaseException:
                states.LOGGER.exception("exception calling callback for %r", self)

    def _own_condition(self) -> threading.Condition:
        """Acquire the condition, or replace one that an interrupted thread left locked."""
        if not self._condition.acquire(timeout=_LOCK_SECONDS):
            self._condition = threading.Condition()
            self._condition.acquire()
        return self._condition

    def _tell_waiters(self) -> None:
        for waiter in self._waiters:
            if self._outcome is None:
                waiter.add_cancelled(self)
            elif self._outcome.is_failure:
                waiter.add_exception(self)
            else:
                waiter.add_result(self)
