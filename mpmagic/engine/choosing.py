"""Which engine ``--on`` means: processes, threads, a notebook's executor or cluster."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any, Final

from mpmagic.errors import EngineError
from mpmagic.pool import Pool, cpu_count
from mpmagic.run.eachwork import Cells
from mpmagic.run.engine import Engine
from mpmagic.run.wait import Inbox

if TYPE_CHECKING:
    from mpmagic.engine.guest import Home

__all__ = ["PROCESSES", "THREADS", "Chooser"]

PROCESSES: Final = "processes"
THREADS: Final = "threads"

_CHOICES: Final = (
    "It may be `processes`, `threads`, the name of a concurrent.futures.Executor, of a client of "
    "Dask or ipyparallel, or the address of a scheduler such as tcp://127.0.0.1:8786"
)

_known: weakref.WeakKeyDictionary[Executor, Home] = weakref.WeakKeyDictionary()
"""Executors whose workers have been asked, with the process of the one that answered."""


class Chooser:
    """Makes engines of what names stand for in a notebook, and keeps those that it has made.

    Parameters
    ----------
    pool
        Gives mpmagic's own pool with that many workers; None for as many as it has.
    inbox
        How the main thread waits.
    cells
        Gives the cells that each worker of that pool runs before anything else.
    """

    def __init__(
        self,
        pool: Callable[[int | None], Pool],
        inbox: Inbox,
        cells: Callable[[], Cells] = tuple,
    ) -> None:
        self._pool = pool
        self._inbox = inbox
        self._cells = cells
        self._threads: Any = None
        self._clients: dict[str, Any] = {}

    def choose(self, name: str, namespace: Mapping[str, Any], workers: int | None) -> Engine:
        """The engine of that name, ready to take work.

        Parameters
        ----------
        name
            What stands behind ``--on``.
        namespace
            The notebook's names.
        workers
            How many of its workers run at the same time; None for all.

        Raises
        ------
        EngineError
            If there is none, or its workers can't run what the notebook sends.
        """
        if name == PROCESSES:
            from mpmagic.engine.processes import PoolEngine

            pool = self._pool(workers)
            return PoolEngine(pool, workers or pool.max_workers, self._cells)
        if name == THREADS:
            return self._on_threads(workers)
        if "://" in name:
            return self._at_address(name, workers)
        return self._of_value(name, _looked_up(name, namespace), workers)

    def close(self) -> None:
        """End the threads, and the connections to schedulers."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def _on_threads(self, workers: int | None) -> Engine:
        from mpmagic.engine.beside import ThreadEngine, default_threads
        from mpmagic.engine.threads import Threads

        if self._threads is None:
            self._threads = Threads(workers or default_threads())
        self._threads.count = max(self._threads.count, workers or 0)
        return ThreadEngine(self._threads, workers or self._threads.count)

    def _of_value(self, name: str, value: Any, workers: int | None) -> Engine:
        from mpmagic.engine import dask, ipyparallel

        if isinstance(value, Pool):
            from mpmagic.engine.processes import PoolEngine

            return PoolEngine(value, workers or value.max_workers)
        if isinstance(value, Executor):
            return self._of_executor(name, value, workers)
        if dask.is_client(value):
            return dask.DaskEngine(value, workers, name=name)
        if ipyparallel.is_client(value):
            return ipyparallel.IpyparallelEngine(value, workers, name=name)
        raise EngineError(
            f"`--on {name}`: `{name}` is of type {type(value).__name__}, which is no engine. "
            f"{_CHOICES}"
        )

    def _at_address(self, address: str, workers: int | None) -> Engine:
        from mpmagic.engine import dask

        client = self._clients.get(address)
        if client is None or client.status == "closed":
            client = self._clients[address] = dask.connect(address)
        return dask.DaskEngine(client, workers, name=address)

    def _of_executor(self, name: str, executor: Executor, workers: int | None) -> Engine:
        from mpmagic.engine.guests import GuestEngine

        home = self._home(name, executor)
        sizes = (getattr(executor, n, None) for n in ("_max_workers", "num_workers"))
        count = next((size for size in sizes if isinstance(size, int)), cpu_count())
        return GuestEngine(executor, min(workers or count, count), name=name, home=home)

    def _home(self, name: str, executor: Executor) -> Home:
        """Ask a worker what it is, also to see whether the executor still takes work."""
        from mpmagic.engine.probe import ASK_MPMAGIC, ASK_PYTHON, check

        python = self._asked(name, executor, ASK_PYTHON)
        if (home := _known.get(executor)) is None:
            mpmagic: Any = None
            if python[-1]:
                mpmagic = self._asked(name, executor, ASK_MPMAGIC, failing=True)
            home = _known[executor] = check(python, mpmagic, f"`{name}`")
        return home

    def _asked(self, name: str, executor: Executor, question: str, failing: bool = False) -> Any:
        try:
            future: Future[Any] = executor.submit(eval, question)
        except (RuntimeError, BrokenExecutor) as error:
            raise _unusable(name, error) from error
        self._inbox.watch(future)
        with self._inbox:
            self._inbox.wait_until(future.done)
        if future.cancelled():
            raise _unusable(name, CancelledError())
        failed = future.exception()
        if failed is not None and not failing:
            raise _unusable(name, failed) from failed
        return failed if failed is not None else future.result()


def _unusable(name: str, error: BaseException) -> EngineError:
    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    return EngineError(
        f"`--on {name}`: the executor takes no work ({reason}); nothing of the cell ran. Make a "
        f"new one, or use `--on processes`"
    )


def _looked_up(name: str, namespace: Mapping[str, Any]) -> Any:
    if name in namespace:
        return namespace[name]
    close = difflib.get_close_matches(name, [PROCESSES, THREADS, *namespace], 1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    raise EngineError(f"`--on {name}`: the notebook has no `{name}`{hint}. {_CHOICES}")
