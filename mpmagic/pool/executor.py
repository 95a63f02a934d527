"""`Pool`: what the user holds. It pickles and speaks to the supervisor; it owns no state of it."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from mpmagic.pool import lifetime
from mpmagic.pool.crew import Orders
from mpmagic.pool.depot import Depot
from mpmagic.pool.future import Outcome, TaskFuture
from mpmagic.pool.mapping import batched, call_each, check_map_options, results
from mpmagic.pool.message import Inline, Pack
from mpmagic.pool.options import (
    budget,
    checked_workers,
    hash_seed,
    method,
    not_negative,
    positive,
)
from mpmagic.pool.status import WorkerStatus
from mpmagic.pool.supervisor import Supervisor
from mpmagic.pool.task import Task

__all__ = ["Pool"]

P = ParamSpec("P")
T = TypeVar("T")


class Pool(Executor):
    """Persistent worker processes that nothing can hang.

    A `concurrent.futures.Executor`. Workers start in the background when the first task is
    submitted. A task that raises, dies or takes too long costs that task alone: its worker is
    replaced and the pool stays usable. Large buffers travel through shared memory, those that a
    worker has had already don't travel again.

    Parameters
    ----------
    max_workers : int, optional
        At most so many workers; by default as many as this process may use cores.
    initializer : callable, optional
        Is called with `initargs` in each worker before its first task. If it raises, the tasks
        that wait fail with `WorkerDied`.
    initargs : tuple
        Arguments for it.
    mp_context : str or multiprocessing context, optional
        "forkserver" or "spawn", or a context whose start method decides ("fork" means
        "forkserver": a process with threads can't be forked safely). By default "forkserver"
        where there is one.
    memory_limit : int, optional
        Bytes that each worker may have to itself; beyond that a task gets a MemoryError. Linux.
    threads : int, optional
        Threads of BLAS, OpenMP and the like in each worker; 0 for as many as these take in this
        process. By default they share the cores. Sums over large arrays depend on the number in
        their last bits.
    task_timeout : float, optional
        Seconds that a task may run unless `dispatch` says otherwise; then its future raises
        `TaskTimeout`, and its worker is interrupted and, if that doesn't help, replaced. The
        initializer may take as long.
    retries : int
        How many more times a task is run, from its beginning, whose worker died while it ran: by
        default none, for nobody knows what it has done by then. What it has reported or printed
        stays, and it reports and prints again. A task that was stopped, by `interrupt` or by
        its time limit, isn't run again, nor is one that raised. One that its worker had not yet
        begun is given to another in any case.
    max_tasks_per_child : int, optional
        Tasks after which a worker is replaced.
    preload : iterable of str
        Modules that are imported once, where workers are forked from. They must start no threads.
    daemon : bool
        At the end of the interpreter, kill what runs instead of waiting for it.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        mp_context: Any = None,
        memory_limit: int | None = None,
        threads: int | None = None,
        task_timeout: float | None = None,
        retries: int = 0,
        max_tasks_per_child: int | None = None,
        preload: Iterable[str] = (),
        daemon: bool = False,
    ) -> None:
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._max_workers = checked_workers(max_workers)
        self._task_timeout = positive("task_timeout", task_timeout)
        self._retries = not_negative("retries", retries)
        self._depot = Depot()
        self._numbers = itertools.count(1)
        self._pid = os.getpid()
        self._is_shut = False
        orders = Orders(
            method=method(mp_context),
            workers=self._max_workers,
            hash_seed=hash_seed(),
            initializer=_pack_initializer(self._depot, initializer, initargs),
            memory_limit=positive("memory_limit", memory_limit),
            threads=None if threads is None else not_negative("threads", threads),
            budget=budget(),
            most_held=self._depot.most_held,
            most_tasks=positive("max_tasks_per_child", max_tasks_per_child),
            preload=tuple(preload),
            start_limit=self._task_timeout if initializer is not None else None,
        )
        self._supervisor = Supervisor(orders, self._max_workers)
        lifetime.guard(self, self._supervisor, daemon=daemon)

    # The Executor interface

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Have `fn(*args, **kwargs)` called in a worker.

        The call is pickled now: the task sees its arguments as they are at this moment. If they
        can't be pickled, the future says so.

        Returns
        -------
        TaskFuture

        Raises
        ------
        RuntimeError
            After `shutdown`, or in a process that was forked from the pool's.
        """
        return self._submit(self._task((fn, args, kwargs)))

    def dispatch(
        self,
        fn: Callable[..., T],
        args: tuple[Any, ...] = (),
        *,
        on_report: Callable[[Any], object] | None = None,
        timeout: float | None = None,
        label: str = "",
        clocked: bool = False,
        quiet: bool = False,
    ) -> TaskFuture[T]:
        """Have `fn(*args)` called in a worker, with options.

        Parameters
        ----------
        fn, args
            The call.
        on_report : callable, optional
            Is called here, in the pool's callback thread, with each value that the task hands to
            `mpmagic.pool.report`, in order and before the future is done.
        timeout : float, optional
            Seconds that it may run; by default the pool's `task_timeout`.
        label : str
            What it is called in `workers()` and in errors.
        clocked : bool
            Its time counts from when it calls `mpmagic.pool.start_clock`.
        quiet : bool
            What it wrote is dropped if its worker dies.

        Returns
        -------
        TaskFuture
        """
        task = self._task((fn, args, {}), label=label)
        task.on_report, task.clocked, task.quiet = on_report, clocked, quiet
        if timeout is not None:
            task.timeout = positive("timeout", timeout)
        return self._submit(task)

    def submit_each(self, fn: Callable[..., T], /, *args: Any) -> list[TaskFuture[T]]:
        """Have `fn(*args)` called once in each worker that exists, after its present task.

        Returns
        -------
        list of TaskFuture
            Empty if no worker has been started.
        """
        self._check_usable()
        if not self._supervisor.is_in_use:
            return []
        call = self._depot.pack_call((fn, args, {}))
        label = _label(fn)
        tasks = self._supervisor.ask(
            partial(self._supervisor.submit_each, lambda: self._new_task(call, label))
        )
        return [t.future for t in tasks]

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call `fn` with the items of the iterables, several at a time.

        Parameters
        ----------
        fn, *iterables
            As for the built-in `map`.
        timeout : float, optional
            Seconds from now within which all results must be there.
        chunksize : int
            Items per task.
        buffersize : int, optional
            Tasks that may be submitted ahead of the result that was last asked for; by default
            all are submitted now.

        Returns
        -------
        iterator
            Of results, in the order of the items.

        Raises
        ------
        TimeoutError
            From the iterator, when the time is over.
        """
        check_map_options(chunksize, buffersize)
        end = None if timeout is None else time.monotonic() + timeout
        chunks = batched(zip(*iterables, strict=False), chunksize)
        futures = (self.submit(call_each, fn, chunk) for chunk in chunks)
        ahead = deque(itertools.islice(futures, buffersize))
        return results(ahead, futures, end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and let the workers go when those that there are have ended.

        Parameters
        ----------
        wait : bool
            Return only after that.
        cancel_futures : bool
            Cancel the tasks that haven't begun.
        """
        self._is_shut = True
        if os.getpid() != self._pid or not self._supervisor.is_in_use:
            return
        self._supervisor.tell(partial(self._supervisor.shut_down, cancel=cancel_futures))
        if wait:
            self._supervisor.join()

    # Beyond it

    def interrupt(self, futures: Iterable[Future[Any]], *, grace: float = 0.5) -> None:
        """Stop tasks; return at once.

        Those that haven't begun are cancelled. In those that run, KeyboardInterrupt is raised;
        a worker that still runs one after `grace` seconds is killed and replaced. Each future
        then resolves: with KeyboardInterrupt, CancelledError, WorkerDied, or the result if that
        was faster.
        """
        self._check_process()
        numbers = [f.number for f in futures if isinstance(f, TaskFuture)]
        self._supervisor.tell(partial(self._supervisor.interrupt, numbers, grace))

    def grow(self, n: int) -> None:
        """Have at least `n` workers, started in the background now; raises the maximum if need be.

        Parameters
        ----------
        n : int
            How many.
        """
        self._check_usable()
        self._max_workers = max(self._max_workers, n)
        self._supervisor.tell(partial(self._supervisor.grow, n))

    def restart(self) -> None:
        """Replace all workers by new ones; those that run a task when it has ended."""
        self._check_usable()
        if self._supervisor.is_in_use:
            self._supervisor.tell(self._supervisor.restart)

    def workers(self) -> list[WorkerStatus]:
        """Tell what each worker is doing."""
        self._check_process()
        if not self._supervisor.is_in_use:
            return []
        return cast(list[WorkerStatus], self._supervisor.ask(self._supervisor.statuses))

    @property
    def max_workers(self) -> int:
        """How many workers there may be."""
        return self._max_workers

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Pool can't be pickled: it belongs to the process that made it. Make one inside "
            "the task, or submit the inner tasks from outside."
        )

    def __repr__(self) -> str:
        state = "shut down" if self._is_shut else "open"
        return f"<mpmagic.Pool of at most {self._max_workers} workers, {state}>"

    # Inside

    def _task(self, call: tuple[Any, ...], *, label: str = "") -> Task:
        """Pickle a call; what goes wrong with that becomes the future's exception."""
        self._check_usable()
        task = self._new_task(_NOTHING, label or _label(call[0]))
        try:
            task.cargo = self._depot.pack_call(call)
        except (Exception, SystemExit) as error:
            error.add_note(f"while pickling the task {task.label}")
            task.error = error
        return task

    def _new_task(self, cargo: Any, label: str) -> Task:
        future: TaskFuture[Any] = TaskFuture(next(self._numbers), self._supervisor.drop_cancelled)
        return Task(cargo, future, label=label, timeout=self._task_timeout, retries=self._retries)

    def _submit(self, task: Task) -> TaskFuture[Any]:
        if task.error is not None:
            task.future.claim()
            task.future.settle_at_once(Outcome.of_error(task.error))
        else:
            self._supervisor.tell(partial(self._supervisor.submit, task))
        return task.future

    def _check_usable(self) -> None:
        self._check_process()
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if lifetime.is_over():
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError(
                f"this Pool belongs to process {self._pid}; this is a process that was forked "
                f"from it. Make a new Pool here."
            )


def _label(fn: Any) -> str:
    return getattr(fn, "__qualname__", None) or type(fn).__qualname__


def _pack_initializer(
    depot: Depot, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> Pack | None:
    if initializer is None:
        return None
    from mpmagic.pool.pickling import pickle_task

    pickled = pickle_task((initializer, initargs, {}))
    # It goes along with each worker's set-up, before the worker can hold anything.
    views = (pickled.stream, *pickled.buffers)
    return Pack(tuple(Inline(bytes(v), v.readonly) for v in views))


_NOTHING: Any = None
