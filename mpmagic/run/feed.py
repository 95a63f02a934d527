"""An engine that is handed everything at once, and hands it on as there is room.

Whoever waits for a loop sends its next chunk when one is back. In the background nobody waits:
there the executor's own thread does it, so that what other cells send finds its place in between.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final
from weakref import WeakSet

from mpmagic.pool import WorkerStatus
from mpmagic.run.engine import Engine, Trial

__all__ = ["Feed", "is_fed"]

_feeds: Final[WeakSet[Feed]] = WeakSet()


def is_fed(executor: Executor) -> bool:
    """Whether an executor has work in the background: a worker may be busy for hours then."""
    return any(feed.executor is executor and feed.is_busy for feed in list(_feeds))


class _Promised(Future[Any]):
    """Stands for a task that may not have been sent yet.

    Attributes
    ----------
    task
        The engine's own future, once it's sent.
    """

    task: Future[Any] | None = None

    @property
    def worker(self) -> int | None:
        """The number of the worker that has it."""
        return getattr(self.task, "worker", None)


class Feed(Engine):
    """Feeds an engine.

    Parameters
    ----------
    engine
        What runs the tasks.
    most
        How many it takes, those that run included.
    """

    def __init__(self, engine: Engine, most: int = sys.maxsize) -> None:
        super().__init__(engine.executor, engine.workers)
        self._engine, self._most = engine, most
        self.is_apart = engine.is_apart
        self.chunk_cost, self.can_limit = engine.chunk_cost, engine.can_limit
        self.grace = engine.grace
        # A task that is through at once calls back in the thread that has sent it.
        self._lock = threading.RLock()
        self._waiting: deque[tuple[Callable[[], Future[Any]], _Promised]] = deque()
        self._running: set[_Promised] = set()
        _feeds.add(self)

    @property
    def is_busy(self) -> bool:
        """Whether there is anything that isn't back."""
        return bool(self._waiting or self._running)

    @property
    def asks_each(self) -> bool:
        """As the engine does."""
        return self._engine.asks_each

    @property
    def most_under_way(self) -> int:
        """As many as it takes."""
        return self._most

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_report: Callable[[Any], object] | None = None,
    ) -> Future[Any]:
        """Have it wait for its turn."""
        submit = partial(self._engine.submit, function, *arguments)
        return self._promise(partial(submit, label=label, on_report=on_report))

    def submit_trial(
        self, function: Callable[..., Any], *arguments: Any, label: str, trial: Trial
    ) -> Future[Any]:
        """Have it wait for its turn."""
        submit = partial(self._engine.submit_trial, function, *arguments)
        return self._promise(partial(submit, label=label, trial=trial))

    def ask_each(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        """Ask at once."""
        return self._engine.ask_each(function, *arguments)

    def stop(self, futures: Iterable[Future[Any]]) -> None:
        """Forget what waits, and stop what runs."""
        ended = set(futures)
        with self._lock:
            forgotten = [promised for _, promised in self._waiting if promised in ended]
            self._waiting = deque(w for w in self._waiting if w[1] not in ended)
            running = [p.task for p in self._running & ended if p.task is not None]
        for promised in forgotten:
            promised.cancel()
        self._engine.stop(running)

    def leave(self, futures: Collection[Future[Any]]) -> None:
        """Do without what is still running."""
        tasks = (future.task for future in futures if isinstance(future, _Promised))
        self._engine.leave([task for task in tasks if task is not None])

    def statuses(self) -> list[WorkerStatus]:
        """What each worker is doing."""
        return self._engine.statuses()

    def session(self) -> AbstractContextManager[object]:
        """Around a cell that runs there."""
        return self._engine.session()

    def streams(self) -> AbstractContextManager[object]:
        """Around a loop of such a cell."""
        return self._engine.streams()

    def _promise(self, send: Callable[[], Future[Any]]) -> Future[Any]:
        promised = _Promised()
        with self._lock:
            self._waiting.append((send, promised))
        self._send()
        return promised

    def _send(self) -> None:
        with self._lock:
            while self._waiting and len(self._running) < self._engine.most_under_way:
                send, promised = self._waiting.popleft()
                if not promised.set_running_or_notify_cancel():
                    continue
                try:
                    promised.task = send()
                except Exception as error:  # the pool was stopped: whoever asks is told
                    promised.set_exception(error)
                    continue
                self._running.add(promised)
                promised.task.add_done_callback(partial(self._arrived, promised))

    def _arrived(self, promised: _Promised, task: Future[Any]) -> None:
        with self._lock:
            self._running.discard(promised)
        self._send()
        if task.cancelled():
            promised.set_exception(CancelledError())
        elif (error := task.exception()) is not None:
            promised.set_exception(error)
        else:
            promised.set_result(task.result())
