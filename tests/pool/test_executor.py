"""The pool as an Executor: what the standard library's does, ours does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from mpmagic.pool import Pool
from tests.pool import tasks


def test_a_call_returns_its_value(new_pool: Callable[..., Pool], method: str) -> None:
    pool = new_pool(2, mp_context=method)
    future = pool.submit(tasks.square, 7)
    assert future.result(30) == 49
    assert future.worker in {w.pid for w in pool.workers()}


def test_functions_defined_on_the_spot(pool: Pool) -> None:
    offset = 100

    def shifted(x: int, *, by: int = 1) -> int:
        return x + by + offset

    assert pool.submit(shifted, 1, by=5).result(30) == 106
    assert pool.submit(lambda: offset).result(30) == 100


def test_map_gives_the_results_in_order(pool: Pool) -> None:
    expected = list(map(divmod, range(50), range(1, 51)))
    assert list(pool.map(divmod, range(50), range(1, 51))) == expected
    assert list(pool.map(divmod, range(50), range(1, 51), chunksize=7)) == expected
    assert list(pool.map(divmod, range(50), range(1, 51), buffersize=3)) == expected


def test_map_with_a_buffer_takes_items_as_they_are_needed(pool: Pool) -> None:
    taken: list[int] = []
    items = (taken.append(i) or i for i in range(1000))
    results = pool.map(tasks.square, items, buffersize=4)
    assert next(results) == 0
    assert len(taken) == 5
    results.close()  # type: ignore[attr-defined]


def test_map_raises_where_the_item_is(pool: Pool) -> None:
    results = pool.map(tasks.divide, [1, 2, 3], [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_exception_is_the_one_that_was_raised(pool: Pool) -> None:
    error = pool.submit(tasks.divide, 1, 0).exception(30)
    assert type(error) is ZeroDivisionError
    lines = "".join(traceback.format_exception(error))
    assert "return a / b" in lines
    assert "mpmagic/pool/worker" not in lines


def test_a_failed_task_costs_nobody_else(pool: Pool) -> None:
    bad = [pool.submit(tasks.divide, i, 0) for i in range(10)]
    good = [pool.submit(tasks.square, i) for i in range(10)]
    assert [f.result(30) for f in good] == [i * i for i in range(10)]
    assert all(isinstance(f.exception(30), ZeroDivisionError) for f in bad)


def test_wait_and_as_completed(pool: Pool) -> None:
    futures = [pool.submit(tasks.square, i) for i in range(40)]
    done = {f.result() for f in concurrent.futures.as_completed(futures, timeout=30)}
    assert done == {i * i for i in range(40)}
    futures = [pool.submit(tasks.divide, 1, i) for i in (1, 0, 2)]
    finished, _ = concurrent.futures.wait(futures, timeout=30)
    assert len(finished) == 3


def test_a_pending_task_can_be_cancelled(new_pool: Callable[..., Pool], tmp_path: Any) -> None:
    pool = new_pool(1)
    first = pool.submit(tasks.touch_and_sleep, str(tmp_path / "a"), 0.3)
    second = pool.submit(tasks.touch_and_sleep, str(tmp_path / "b"), 0)
    called = threading.Event()
    second.add_done_callback(lambda f: called.set())
    assert second.cancel()
    assert second.cancelled() and second.done()
    with pytest.raises(concurrent.futures.CancelledError):
        second.result(30)
    assert called.wait(30)
    first.result(30)
    assert not first.cancel()
    assert not (tmp_path / "b").exists()


def test_callbacks_run_in_their_own_thread(pool: Pool) -> None:
    seen: list[tuple[str, int]] = []
    done = threading.Event()

    def note(future: concurrent.futures.Future[int]) -> None:
        seen.append((threading.current_thread().name, future.result()))
        done.set()

    pool.submit(tasks.square, 3).add_done_callback(note)
    assert done.wait(30)
    assert seen == [("mpmagic-notifier", 9)] or seen == [("MainThread", 9)]


def test_a_blocked_or_failing_callback_stops_nobody(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    let_go = threading.Event()
    blocked = threading.Event()

    def block(future: Any) -> None:
        blocked.set()
        let_go.wait(60)
        raise BaseException("from a callback")

    slow = pool.submit(tasks.sleep, 0.2)
    slow.add_done_callback(block)
    assert blocked.wait(30)
    assert [pool.submit(tasks.square, i).result(30) for i in range(5)] == [0, 1, 4, 9, 16]
    let_go.set()
    pool.shutdown()
    assert "from a callback" in caplog.text
    caplog.clear()  # its record holds the frames of the callback, and so the pool


def test_asyncio_can_await_a_task(pool: Pool) -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        good = loop.run_in_executor(pool, tasks.square, 5)
        bad = loop.run_in_executor(pool, tasks.divide, 1, 0)
        return await asyncio.gather(good, bad, return_exceptions=True)

    good, bad = asyncio.run(main())
    assert good == 25
    assert isinstance(bad, ZeroDivisionError)


def test_after_shutdown_it_says_so(pool: Pool) -> None:
    futures = [pool.submit(tasks.square, i) for i in range(10)]
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(tasks.square, 1)
    pool.shutdown()
    assert [f.result(0) for f in futures] == [i * i for i in range(10)]


def test_shutdown_can_cancel_what_waits(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    futures = [pool.submit(tasks.sleep, 0.2) for _ in range(20)]
    pool.shutdown(cancel_futures=True)
    assert all(f.done() for f in futures)
    assert sum(f.cancelled() for f in futures) >= 17


def test_a_pool_that_is_garbage_finishes_its_tasks() -> None:
    future = Pool(1).submit(tasks.square, 4)
    assert future.result(30) == 16


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="max_workers"):
        Pool(0)
    with pytest.raises(TypeError, match="initializer"):
        Pool(initializer=3)  # type: ignore[arg-type]
    assert Pool(mp_context=multiprocessing.get_context("spawn")).max_workers > 0
    with pytest.raises(ValueError, match="mp_context"):
        Pool(mp_context="threads")
    with pytest.raises(ValueError, match="task_timeout"):
        Pool(task_timeout=-1)
    with pytest.raises(ValueError, match="retries"):
        Pool(retries=-1)
    pool = Pool(1)
    with pytest.raises(ValueError, match="chunksize"):
        pool.map(str, [], chunksize=0)
    with pytest.raises(ValueError, match="buffersize"):
        pool.map(str, [], buffersize=0)
    with pytest.raises(TypeError, match="buffersize"):
        pool.map(str, [], buffersize="3")  # type: ignore[arg-type]
