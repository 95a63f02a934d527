"""The notebook's own threads as an engine (``--on threads``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NoReturn

from mpmagic.engine.guards import guarded
from mpmagic.engine.guest import here, run_as_guest
from mpmagic.engine.threads import Threads
from mpmagic.errors import NotParallel
from mpmagic.run.engine import Engine
from mpmagic.run.lent import lending
from mpmagic.run.routing import routed

__all__ = ["ThreadEngine", "default_threads", "in_this_process", "refuse_seed"]


def default_threads() -> int:
    """As many as the standard library takes: loops that wait have more than there are cores."""
    return min(32, (os.cpu_count() or 1) + 4)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Around a cell whose work runs in threads of this process."""
    with guarded(), lending():
        yield


def refuse_seed() -> NoReturn:
    """Threads share the global streams of `random` and `numpy.random`.

    Raises
    ------
    NotParallel
        Always.
    """
    raise NotParallel(
        "`--seed` gives each iteration random streams of its own, and threads share the global "
        "ones. Hand in a generator for each iteration, or use `--on processes`"
    )


class ThreadEngine(Engine):
    """Threads, each with copies of its own of what was captured.

    Parameters
    ----------
    threads
        The threads.
    workers
        How many of them run at the same time.
    """

    is_apart = False
    asks_each = True
    grace = 0.5

    def __init__(self, threads: Threads, workers: int) -> None:
        super().__init__(threads, workers)
        self._threads = threads

    def session(self) -> Any:
        """Warnings by thread; objects can be lent."""
        return in_this_process()

    def streams(self) -> Any:
        """Streams and loggers by thread."""
        return routed()

    def check_seedable(self) -> None:
        """Refuse, always."""
        refuse_seed()

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_report: Callable[[Any], object] | None = None,
    ) -> Future[Any]:
        """Have it called by a thread."""
        return self._threads.submit(run_as_guest, here(), function, *arguments)

    def ask_each(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        """Have it called by each thread."""
        return self._threads.submit_each(run_as_guest, here(), function, *arguments)

    def leave(self, futures: Collection[Future[Any]]) -> None:
        """Interrupt threads, and let those that can't be run on by themselves."""
        self._threads.leave(futures)
