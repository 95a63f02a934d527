"""Measure the pool against the standard library's: `python -m tests.bench.pool`.

Prints times and, next to them, the same for `ProcessPoolExecutor`, so that the machine cancels out.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd  # noqa: F401  a notebook has it, and workers import it ahead

from mpmagic.pool import Pool
from tests.pool import tasks


def total(array: Any) -> float:
    return float(array[::4096].sum())


def ones(count: int) -> Any:
    return np.ones(count)


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cold_start(make: Callable[[], Executor]) -> float:
    """From nothing to two workers that have each run a task."""

    def both() -> None:
        pool = make()
        list(pool.map(tasks.pid_after, [0.0] * 2))
        pool.shutdown(wait=False)

    return timed(both)


def round_trip(pool: Executor, count: int = 1000) -> float:
    def all_of_them() -> None:
        for i in range(count):
            pool.submit(abs, i).result()

    return timed(all_of_them) / count


def throughput(pool: Executor, count: int = 4000) -> float:
    return timed(lambda: list(pool.map(abs, range(count)))) / count


def array_to_workers(pool: Executor, array: Any) -> float:
    return timed(lambda: list(pool.map(total, [array] * 8)))


def main() -> None:
    forkserver = multiprocessing.get_context("forkserver")
    ours, theirs = partial(Pool, 2), partial(ProcessPoolExecutor, 2, mp_context=forkserver)
    print(f"cold start of two      {cold_start(ours):8.3f} s  {cold_start(theirs):8.3f} s")
    with ours() as mine, theirs() as stdlib:
        for pool in (mine, stdlib):
            list(pool.map(tasks.pid_after, [0.05] * 4))
        row = [round_trip(p) * 1e6 for p in (mine, stdlib)]
        print(f"round trip             {row[0]:8.0f} us {row[1]:8.0f} us")
        row = [throughput(p) * 1e6 for p in (mine, stdlib)]
        print(f"a task of many         {row[0]:8.0f} us {row[1]:8.0f} us")
        array = np.random.default_rng(0).random(64 * 2**20)
        copy = timed(array.copy)
        first, second = array_to_workers(mine, array), array_to_workers(mine, array)
        print(f"512 MB to 8 tasks      {first:8.3f} s  (a copy in memory: {copy:.3f} s)")
        print(f"the same again         {second:8.3f} s")
        back = timed(lambda: mine.submit(ones, 64 * 2**20).result())
        print(f"512 MB back            {back:8.3f} s")


if __name__ == "__main__":
    main()
