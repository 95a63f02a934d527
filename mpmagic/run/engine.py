"""Where the work of a cell runs, as its loops and calls see it.

Any `concurrent.futures.Executor` will do. What it can't do besides (tell what its workers are at,
ask each of them, stop what runs) has a default here that loops can live with.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, NamedTuple

from mpmagic.pool import WorkerStatus
from mpmagic.run.audited import acted_in
from mpmagic.run.wait import Inbox

__all__ = ["Asking", "Engine", "Trial", "has_acted", "recall"]

_STEP: Final = 0.05
"""Seconds between looks at what won't stop."""


class Trial(NamedTuple):
    """How an iteration is run that travels alone.

    Attributes
    ----------
    timeout
        Seconds that it may take; None for as long as it likes.
    may_follow
        Whether another try follows if it fails, so that nothing of this one is to be shown.
    on_report
        Takes what the call tells before it ends, if the engine carries that.
    """

    timeout: float | None
    may_follow: bool
    on_report: Callable[[Any], object] | None


class Engine:
    """An executor as it is.

    Parameters
    ----------
    executor
        The executor.
    workers
        How many of its workers run at the same time.

    Attributes
    ----------
    is_apart
        Whether its workers have processes of their own.
    chunk_cost
        Seconds that the kernel spends on sending a chunk and taking its log.
    can_limit
        Whether it can end a task that takes too long.
    outlasts_cells
        Whether work can go on when the cell has ended that sent it.
    sees_traces
        Whether its workers note what work does outside of their processes.
    grace
        Seconds to wait after an interrupt for what can't be stopped; None for as long as it takes.
    """

    is_apart: bool = True
    can_limit: bool = False
    outlasts_cells: bool = False
    sees_traces: bool = False
    chunk_cost: float = 0.3e-3  # measured by tests/bench/engines.py
    grace: float | None = None

    def __init__(self, executor: Executor, workers: int) -> None:
        self.executor = executor
        self.workers = workers

    @property
    def asks_each(self) -> bool:
        """Whether `ask_each` reaches every worker, and that soon."""
        return False

    @property
    def most_under_way(self) -> int:
        """How many pieces of a loop are sent at a time: some more than run, so that none waits."""
        return self.workers + 1 + self.workers // 2

    def session(self) -> AbstractContextManager[object]:
        """Around a cell that runs here."""
        return nullcontext()

    def streams(self) -> AbstractContextManager[object]:
        """Around a loop, or a group of calls, of such a cell."""
        return nullcontext()

    def check_seedable(self) -> None:
        """Make sure that iterations can have random streams of their own.

        Raises
        ------
        NotParallel
            If they can't.
        """

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_report: Callable[[Any], object] | None = None,
    ) -> Future[Any]:
        """Have a function of `mpmagic.run`'s called in a worker.

        Parameters
        ----------
        function, *arguments
            The call.
        label
            What it is called where workers are shown.
        on_report
            Takes what the call tells before it ends, if the engine carries that.
        """
        return self.executor.submit(function, *arguments)

    def submit_trial(
        self, function: Callable[..., Any], *arguments: Any, label: str, trial: Trial
    ) -> Future[Any]:
        """The same for one iteration that travels alone, under its limit if it `can_limit`."""
        return self.submit(function, *arguments, label=label, on_report=trial.on_report)

    def ask_each(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        """The same once in each worker that may have had work."""
        raise NotImplementedError

    def stop(self, futures: Iterable[Future[Any]]) -> None:
        """Stop what is under way as far as that can be done; return at once."""
        for future in futures:
            future.cancel()

    def leave(self, futures: Collection[Future[Any]]) -> None:
        """Do without what is still running: nobody takes its results."""

    def statuses(self) -> list[WorkerStatus]:
        """What each worker is doing; empty if that can't be told."""
        return []


class Asking:
    """A call that all workers are asked to make; they make it while the kernel does other things.

    Parameters
    ----------
    engine, inbox
        Where they are, and how the main thread waits.
    function, *arguments
        The call.
    """

    def __init__(
        self, engine: Engine, inbox: Inbox, function: Callable[..., Any], *arguments: Any
    ) -> None:
        self._inbox = inbox
        self._asked = engine.ask_each(function, *arguments)
        for future in self._asked:
            inbox.watch(future)

    def answers(self) -> list[Future[Any]]:
        """All answers, those that failed included; waits for them."""
        with self._inbox:
            self._inbox.wait_until(lambda: _all_done(self._asked))
        return self._asked


def has_acted(engine: Engine, inbox: Inbox, run: int, first: int) -> bool:
    """Whether work may have done something outside of its process, none of which is under way.

    Parameters
    ----------
    engine, inbox
        Where the work ran, and how the main thread waits.
    run, first
        The work: of that run of a loop or of calls, what has that number or a later one.
    """
    if not engine.sees_traces:
        return True
    asked = Asking(engine, inbox, acted_in, run).answers()
    return any(f.exception() is not None or any(n >= first for n in f.result()) for f in asked)


def recall(engine: Engine, futures: Iterable[Future[Any]], inbox: Inbox) -> None:
    """Stop what is under way, and wait for it; after an interrupt no longer than the grace.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts the wait for what can't be stopped.
    """
    pending = [future for future in futures if not future.done()]
    if not pending:
        return
    engine.stop(pending)
    with inbox:
        if engine.grace is None:
            inbox.wait_until(lambda: _all_done(pending), interruptible=False)
            return
        if not isinstance(sys.exception(), KeyboardInterrupt):
            try:
                inbox.wait_until(lambda: _all_done(pending))
            except KeyboardInterrupt:
                _wait_for_grace(engine, pending, inbox)
                raise
        else:
            _wait_for_grace(engine, pending, inbox)


def _wait_for_grace(engine: Engine, pending: list[Future[Any]], inbox: Inbox) -> None:
    end = time.monotonic() + (engine.grace or 0.0)
    inbox.wait_until(
        lambda: _all_done(pending) or time.monotonic() >= end, interruptible=False, pause=_STEP
    )
    if running := [future for future in pending if not future.done()]:
        engine.leave(running)


def _all_done(futures: Iterable[Future[Any]]) -> bool:
    return all(future.done() for future in futures)
