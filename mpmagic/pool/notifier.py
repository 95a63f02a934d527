"""A thread for jobs that may block or fail, because they touch what belongs to the user.

A pool has two. In one, futures' callbacks run, reports are handed over and text is shown: the
user's code, which may take its time. In the other, futures are settled that somebody waits for
through `concurrent.futures.wait` or `as_completed`, because telling those takes locks of theirs.
The supervisor only puts jobs into their queues.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Notifier"]

Job = Callable[[], object]


class Notifier:
    """A queue of jobs and the thread that does them, in order."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=False)

    def start(self) -> None:
        self._thread.start()

    def put(self, job: Job) -> None:
        self._jobs.put(job)

    def finish(self) -> None:
        """Let the thread end after the jobs that it has."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait for its end; from a job of its own, that is now."""
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException:
                logging.getLogger("mpmagic.pool").exception("a callback of the pool failed")
            del job  # it holds results
