"""`Pool`: the standard library's calls, on workers that nothing can hang."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from multiprocessing import process
from typing import Any

from mpmagic.mp.pickling import EnterMain, Travelling
from mpmagic.mp.results import AsyncResult, Callback, IMapIterator, IMapUnorderedIterator
from mpmagic.pool import Parcel, TaskFuture, cpu_count
from mpmagic.pool import Pool as Workers

__all__ = ["Pool"]

_AHEAD = 8  # tasks of an imap per worker that are under way at once
_GRACE_SECONDS = 0.2


class Pool:
    """Worker processes that calls of functions are handed out to.

    `multiprocessing.Pool` in its calls and what they give, on the workers of `mpmagic.Pool`.
    Functions, classes and lambdas of the notebook can be handed to it, under every start method.

    What differs:

    - A worker that dies costs the calls that it ran: their results raise `WorkerDied`, at once,
      where the standard library's pool waits for ever. The worker is replaced.
    - What a call can't be pickled for, its result raises too. An argument is pickled when the call
      is made; changing it afterwards changes nothing.
    - Workers start with the first call, not with the pool. "fork" means a fork of a server without
      threads: a worker has the globals that the functions handed to it use, no others. A global
      that the initializer sets stays as it set it, and a class's attributes are those that it had
      when a worker first got it.
    - `terminate` and the stop button interrupt calls, and results that will never come raise
      `multiprocessing.ProcessError` instead of being waited for for ever.
    - Of several calls that raise, `map` raises what the first of them in the order of the items
      has raised.
    - Workers aren't daemons: what runs in them may start processes.

    Parameters
    ----------
    processes : int, optional
        How many workers; by default as many as this process may use cores.
    initializer : callable, optional
        Is called with `initargs` in each worker before its first call. If it raises, calls raise
        `WorkerDied`.
    initargs : iterable
    maxtasksperchild : int, optional
        Calls, or chunks of calls, after which a worker is replaced.
    context : multiprocessing context, optional
        Its start method decides: "spawn", or else a fork server.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._processes = processes or cpu_count()
        self._workers = Workers(
            self._processes,
            initializer=_prepare,
            initargs=(EnterMain(), Travelling((initializer, tuple(initargs)))),
            mp_context=context,
            max_tasks_per_child=maxtasksperchild,
            daemon=True,
        )
        self._calls: set[Future[Any]] = set()
        self._feeders: list[threading.Thread] = []
        self._is_closed = self._is_terminated = False

    # Calls that wait

    def apply(self, func: Any, args: Iterable[Any] = (), kwds: Any = None) -> Any:
        """Give `func(*args, **kwds)`, called in a worker."""
        return self._wait_for(self.apply_async(func, args, kwds))

    def map(self, func: Any, iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """Give the list of `func(item)` for each item, called in chunks in the workers.

        Parameters
        ----------
        func, iterable
            As for the built-in `map`.
        chunksize : int, optional
            Items per task; by default such that each worker gets about four tasks.
        """
        return list(self._wait_for(self.map_async(func, iterable, chunksize)))

    def starmap(
        self, func: Any, iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[Any]:
        """Give the list of `func(*item)` for each item; see `map`."""
        return list(self._wait_for(self.starmap_async(func, iterable, chunksize)))

    # Calls that don't

    def apply_async(
        self,
        func: Any,
        args: Iterable[Any] = (),
        kwds: Any = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult:
        """Have `func(*args, **kwds)` called in a worker; give its result's place.

        Parameters
        ----------
        func, args, kwds
            The call.
        callback, error_callback : callable, optional
            One of them is called here, in a thread of the pool, with the result, or with what was
            raised. It should return soon: others wait for it.
        """
        self._check_running()
        what = Travelling((func, tuple(args), dict(kwds or {})))
        call = self._submit(_call, what, label=_name(func))
        return AsyncResult([call], _only, callback, error_callback)

    def map_async(
        self,
        func: Any,
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult:
        """Do as `map` and don't wait; the callbacks are those of `apply_async`."""
        chunks = self._chunks(((item,) for item in iterable), chunksize)
        return self._map_async(func, chunks, callback, error_callback)

    def starmap_async(
        self,
        func: Any,
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> AsyncResult:
        """Do as `starmap` and don't wait; the callbacks are those of `apply_async`."""
        chunks = self._chunks(map(tuple, iterable), chunksize)
        return self._map_async(func, chunks, callback, error_callback)

    def imap(self, func: Any, iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """Give an iterator of `func(item)` for each item, in order.

        Parameters
        ----------
        func : callable
        iterable : iterable
            Is iterated over by a thread, a little ahead of the workers; it may be endless.
        chunksize : int
            Items per task.
        """
        return self._feed(IMapIterator(), func, iterable, chunksize)

    def imap_unordered(
        self, func: Any, iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator:
        """Give an iterator of `func(item)` for each item, as results come; see `imap`."""
        return self._feed(IMapUnorderedIterator(), func, iterable, chunksize)

    # The end

    def close(self) -> None:
        """Take no more calls; the workers end when those that there are have ended."""
        self._is_closed = True
        if not self._feeders:
            self._workers.shutdown(wait=False)

    def terminate(self) -> None:
        """End the workers now; results that aren't there raise `multiprocessing.ProcessError`."""
        self._is_closed = self._is_terminated = True
        self._workers.interrupt(list(self._calls), grace=_GRACE_SECONDS)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Wait until the workers have ended.

        Raises
        ------
        ValueError
            If neither `close` nor `terminate` was called.
        """
        if not self._is_closed:
            raise ValueError("Pool is still running")
        for feeder in self._feeders:
            feeder.join()
        self._workers.shutdown()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __repr__(self) -> str:
        state = "TERMINATE" if self._is_terminated else "CLOSE" if self._is_closed else "RUN"
        return f"<{type(self).__module__}.Pool state={state} pool_size={self._processes}>"

    # Inside

    def _check_running(self) -> None:
        if self._is_closed:
            raise ValueError("Pool not running")

    def _submit(self, function: Any, *args: Any, label: str) -> TaskFuture[Any]:
        call = self._workers.dispatch(function, args, label=label)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def _chunks(self, items: Iterable[Any], size: int | None) -> list[tuple[Any, ...]]:
        self._check_running()
        items = list(items)
        if size is None:
            size = -(-len(items) // (self._processes * 4)) or 1
        return list(_cut(items, size))

    def _map_async(
        self, func: Any, chunks: list[Any], callback: Callback, error_callback: Callback
    ) -> AsyncResult:
        submit = partial(self._submit, _call_each, _once(func), label=_name(func))
        calls: list[Future[Any]] = [submit(Travelling(chunk)) for chunk in chunks]
        return AsyncResult(calls, _flat, callback, error_callback)

    def _feed(
        self, results: IMapIterator, func: Any, iterable: Iterable[Any], size: int
    ) -> IMapIterator:
        """Have a thread submit what the iterable gives; as much ahead as keeps workers busy."""
        self._check_running()
        if size < 1:
            raise ValueError(f"Chunksize must be 1+, not {size}")
        chunks = _cut(((item,) for item in iterable), size)
        submit = partial(self._submit, _call_each, _once(func), label=_name(func))
        feeder = threading.Thread(
            target=self._feed_all, args=(results, submit, chunks), daemon=True, name="mpmagic-imap"
        )
        self._feeders.append(feeder)
        feeder.start()
        return results

    def _feed_all(
        self, results: IMapIterator, submit: Callable[[Any], Future[Any]], chunks: Iterator[Any]
    ) -> None:
        room = threading.Semaphore(_AHEAD * self._processes)
        try:
            for chunk in chunks:
                room.acquire()
                if self._is_terminated:
                    break
                call = submit(Travelling(chunk))
                results.add(call)
                call.add_done_callback(lambda _: room.release())
        except BaseException as error:  # the iterable's own
            failed: Future[Any] = Future()
            failed.set_exception(error)
            results.add(failed)
        results.close()
        self._feeders.remove(threading.current_thread())
        if self._is_closed and not self._feeders:
            self._workers.shutdown(wait=False)

    def _wait_for(self, result: AsyncResult) -> Any:
        calls = result.calls
        try:
            return result.get()
        except KeyboardInterrupt:
            self._workers.interrupt(calls, grace=_GRACE_SECONDS)
            raise


# In the workers


def _prepare(_: None, initial: tuple[Callable[..., object] | None, tuple[Any, ...]]) -> None:
    process.current_process().name = f"PoolWorker-{os.getpid()}"
    initializer, args = initial
    if initializer is not None:
        initializer(*args)


def _call(call: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> Any:
    function, args, kwargs = call
    return function(*args, **kwargs)


def _call_each(function: Parcel, chunk: Iterable[tuple[Any, ...]]) -> list[Any]:
    return list(itertools.starmap(function.payload, chunk))


# In the kernel


def _once(func: Any) -> Parcel:
    """Pickle a function now, and send it once to each worker."""
    return Parcel(os.urandom(16), Travelling(func))


def _name(func: Any) -> str:
    return getattr(func, "__qualname__", None) or type(func).__qualname__


def _cut(items: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    iterator = iter(items)
    while chunk := tuple(itertools.islice(iterator, size)):
        yield chunk


def _only(values: list[Any]) -> Any:
    return values[0]


def _flat(chunks: list[list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(chunks))
