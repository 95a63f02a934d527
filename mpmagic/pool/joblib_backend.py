"""joblib on the pool: `with joblib.parallel_config("mpmagic"): ...`, and scikit-learn with it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import joblib  # type: ignore[import-not-found,import-untyped,unused-ignore]
from joblib._parallel_backends import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from mpmagic.pool import context
from mpmagic.pool.cpus import cpu_count
from mpmagic.pool.executor import Pool
from mpmagic.pool.future import TaskFuture

__all__ = ["MpmagicBackend", "register"]

_GRACE_SECONDS = 3.0

_shared: list[tuple[tuple[Any, ...], Pool]] = []


def register(pool: Pool | None = None) -> None:
    """Let joblib know the backend "mpmagic".

    Parameters
    ----------
    pool : Pool, optional
        Where its tasks run; by default a pool of its own that is started at the first use. It
        grows to the `n_jobs` that joblib is asked for.
    """
    backend = MpmagicBackend if pool is None else partial(MpmagicBackend, pool)
    joblib.register_parallel_backend("mpmagic", backend)


class MpmagicBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """What joblib asks of a backend.

    Unlike joblib's own, it keeps its workers when a task fails: the rest of the call is
    interrupted, and the next call finds them warm.

    Parameters
    ----------
    pool : Pool or None
        Where the tasks run.
    """

    supports_retrieve_callback = True

    def __init__(self, pool: Pool | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._given = self._pool = pool
        self._futures: set[TaskFuture[Any]] = set()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Say how many workers a call gets; inside a worker, one."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or context.in_worker():
            return 1
        return n_jobs if n_jobs > 0 else max(cpu_count() + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Get ready for a call.

        Raises
        ------
        ValueError
            If it has an initializer, and the pool, with workers of its own, was given.
        """
        count = self.effective_n_jobs(n_jobs)
        if count == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._pool = self._pool_for({**self._options, **options})
        self._pool.grow(count)
        return count

    def _pool_for(self, options: dict[str, Any]) -> Pool:
        initializer, initargs = options.get("initializer"), options.get("initargs", ())
        if self._given is None:
            return _shared_pool(initializer, *initargs)
        if initializer is not None:
            raise ValueError(
                "the workers of the pool that the backend was registered with are there already: "
                "give the initializer to that Pool"
            )
        return self._given

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Any], object] | None = None
    ) -> TaskFuture[Any]:
        """Run a batch."""
        assert self._pool is not None
        future = self._pool.submit(func)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # what it is called before joblib 1.5

    def retrieve_result_callback(self, out: TaskFuture[Any]) -> Any:
        """Give what a batch returned, or raise what it raised."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Stop what is left of a call that has failed."""
        if self._pool is not None:
            # Nobody waits for them, so there is time for what a busy machine does late.
            self._pool.interrupt(list(self._futures), grace=_GRACE_SECONDS)

    def terminate(self) -> None:
        """End a call; the workers stay."""
        self.reset_batch_stats()


def _shared_pool(initializer: Callable[..., object] | None, *initargs: Any) -> Pool:
    """Give the pool of the last call if its workers were prepared in the same way."""
    wanted = (initializer, *initargs)
    for prepared, pool in _shared:
        if len(prepared) == len(wanted) and all(map(operator.is_, prepared, wanted)):
            return pool
    pool = Pool(initializer=initializer, initargs=initargs, daemon=True)
    _shared[:] = [(wanted, pool)]  # the last one ends when the calls that use it have
    return pool
