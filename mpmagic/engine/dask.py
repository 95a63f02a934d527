"""Dask as an engine: any number of machines, behind a `distributed.Client`.

Dask runs a chunk again whose worker has died. Large parcels are scattered: the scheduler's workers
get them from each other, each of them once.
"""

from __future__ import annotations

import importlib
import random
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from typing import Any, Final

from mpmagic.engine.guest import Home, here
from mpmagic.engine.guests import LARGE, Carried, GuestEngine
from mpmagic.engine.probe import ASK_MPMAGIC, ASK_PYTHON, check
from mpmagic.errors import EngineError
from mpmagic.pool import Parcel

__all__ = ["DaskEngine", "connect", "is_client"]

_SECONDS: Final = 10
"""To connect to a scheduler, and to hand a large value to its workers."""

_KEPT: Final = 8
"""Large parcels that the workers keep: those of the last loops."""

_scattered: Final[weakref.WeakKeyDictionary[Any, dict[bytes, Any]]] = weakref.WeakKeyDictionary()
"""By client, what its workers hold."""

_LOOK_MILLISECONDS: Final = 300

_DRAWING: Final = ("dask.sizeof", "distributed.comm.core", "distributed.utils_comm")
"""Modules of Dask's that draw: samples of what is to be sent, pauses before trying again."""

_stream: Final = random.Random()


def is_client(value: Any) -> bool:
    """Whether it is one of Dask's, which isn't imported for that."""
    return any(f"{k.__module__}.{k.__qualname__}" == "distributed.client.Client"
               for k in type(value).__mro__)  # fmt: skip


def connect(address: str) -> Any:
    """A client of the scheduler at an address.

    Raises
    ------
    EngineError
        If Dask isn't installed, or nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise EngineError(
            f"`--on {address}` needs Dask: `pip install 'mpmagic[dask]'`, here and where its "
            f"workers run"
        ) from error
    _leave_stream_alone()
    try:
        return Client(address, timeout=_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"`--on {address}`: no scheduler answers there ({type(error).__name__}: {error}); "
            f"nothing of the cell ran. Start one with `dask scheduler`"
        ) from error


def _leave_stream_alone() -> None:
    """Have Dask's client draw from a stream of its own, in the thread that it has.

    The global one of `random` is the notebook's, and of its loops' commits.
    """
    for name in _DRAWING:
        module: Any = importlib.import_module(name)
        if module.random is random:
            module.random = _stream


class _Executor(Executor):
    """Has a client run calls.

    Dask's own writes an error into the log, which a notebook shows, for a future that is cancelled
    while its result is on the way.

    Parameters
    ----------
    client
        The client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have the call made by a worker."""
        task = self._client.submit(fn, *args, pure=False, **kwargs)
        future: Future[Any] = Future()
        future.add_done_callback(lambda _: _call_back(task, future))
        self._client.loop.add_callback(_carry, task, future)
        return future


def _call_back(task: Any, future: Future[Any]) -> None:
    # Of one that has ended the result may be on its way: the client would warn that it's gone.
    if future.cancelled() and task.status == "pending":
        task.cancel()


async def _carry(task: Any, future: Future[Any]) -> None:
    """Hand on what comes of a task."""
    result, error = None, None
    try:
        result = await task._result(raiseit=False)
        if task.status == "error":
            _, error, _ = result
    except Exception as raised:
        error = raised
    if task.status == "cancelled" or isinstance(error, CancelledError):
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


class DaskEngine(GuestEngine):
    """The workers of a scheduler; one chunk at a time in each process.

    Parameters
    ----------
    client
        The client.
    workers
        How many workers are kept busy; None for all.
    name
        What the user calls it.
    """

    chunk_cost = 1.2e-3

    def __init__(self, client: Any, workers: int | None, *, name: str) -> None:
        _leave_stream_alone()
        self._client = client
        self.name = name
        homes = self._asked()
        count = min(workers or len(homes), len(homes))
        home = here() if here() in homes else homes[0]
        super().__init__(_Executor(client), count, name=name, home=home)
        self._scattered = _scattered.setdefault(client, {})
        self._away: weakref.WeakSet[Carried] = weakref.WeakSet()

    @contextmanager
    def session(self) -> Iterator[None]:
        """Watch the connection: what is submitted while it's broken nobody ever resolves."""
        from tornado.ioloop import PeriodicCallback

        watch, loop = PeriodicCallback(self._look, _LOOK_MILLISECONDS), self._client.loop
        loop.add_callback(watch.start)
        try:
            with super().session():
                yield
        finally:
            loop.add_callback(watch.stop)

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_report: Callable[[Any], object] | None = None,
    ) -> Carried:
        """Have it called by the worker that the scheduler chooses."""
        if self._client.status != "running":
            raise self._gone(ConnectionError(f"the client is {self._client.status}"))
        carried = super().submit(function, *arguments)
        self._away.add(carried)
        return carried

    def _look(self) -> None:
        if self._client.status != "running":
            for carried in list(self._away):
                carried.fail(self._gone(ConnectionError("it was lost")))

    def _asked(self) -> list[Home]:
        """The workers' processes, each of which can run what this one sends."""
        if self._client.status != "running":
            raise self._gone(ConnectionError(f"the client is {self._client.status}"))
        try:
            asked = self._client.run(eval, ASK_PYTHON, on_error="return")
            # A worker that dies just now may still be on the scheduler's list.
            pythons = {w: p for w, p in asked.items() if not isinstance(p, BaseException)}
            having = [worker for worker, python in pythons.items() if python[-1]]
            answers = self._client.run(
                eval, ASK_MPMAGIC, workers=having, on_error="return"
            ) if having else {}  # fmt: skip
        except (OSError, CancelledError, RuntimeError) as error:
            raise self._gone(error) from error
        if not pythons:
            raise EngineError(
                f"`--on {self.name}`: the scheduler has no workers; nothing of the cell ran. Start "
                f"some with `dask worker`"
            )
        return [check(p, answers.get(w), f"`{self.name}`") for w, p in pythons.items()]

    def _lightened(self, arguments: Iterable[Any]) -> list[Any]:
        return [self._scatter(a) if isinstance(a, Parcel) else a for a in arguments]

    def _scatter(self, parcel: Parcel) -> Any:
        if not self.is_apart or parcel.payload.nbytes < LARGE:
            return parcel
        found = self._scattered.get(parcel.key)
        if found is None or found.status != "finished":
            name = f"mpmagic-{parcel.key.hex()}"
            try:
                made = self._client.scatter({name: parcel}, broadcast=True, timeout=_SECONDS)
            except (OSError, CancelledError, RuntimeError) as error:
                raise self._gone(error) from error
            found = self._scattered[parcel.key] = made[name]
            for key in list(self._scattered)[:-_KEPT]:
                del self._scattered[key]
        return found

    def _can_retry(self) -> bool:
        """All workers that held what was scattered may be gone."""
        self._scattered.clear()
        return bool(self._client.status == "running")

    def _told(self, error: BaseException) -> BaseException:
        if type(error).__name__ == "KilledWorker":
            return EngineError(
                f"`--on {self.name}`: several workers died one after the other while they ran the "
                f"same iterations ({error})."
            )
        if type(error).__name__ == "CommClosedError":
            return self._gone(error)
        return super()._told(error)

    def _gone(self, error: BaseException) -> EngineError:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        return EngineError(
            f"`--on {self.name}`: the scheduler can't be reached ({reason}). Start it again, make "
            f"a new client and run the cell again, or use `--on processes`."
        )
