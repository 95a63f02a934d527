"""The pool against the standard library's: the same results, and no hang where that one hangs."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mpmagic import mp
from mpmagic.errors import WorkerDied
from tests.mp.conftest import Run


@pytest.fixture(params=["forkserver", "spawn"])
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Two workers of each kind."""
    pool = mp.get_context(request.param).Pool(2)
    yield pool
    pool.terminate()
    pool.join()


def fails_at_three(x: int) -> int:
    if x == 3:
        raise ValueError(x)
    return x * x


def fed(items: list[Any]) -> Iterator[Any]:
    """Items of which the fourth can't be had."""
    yield from items[:3]
    raise KeyError("no more")


def test_the_calls_give_what_the_standard_librarys_give(pool: Any) -> None:
    with multiprocessing.get_context("fork").Pool(2) as standard:
        for each in (standard, pool):
            assert each.apply(divmod, (7, 3)) == (2, 1)
            assert each.apply(int, ("11",), {"base": 2}) == 3
            assert each.apply_async(pow, (2, 5)).get() == 32
            assert each.map(abs, range(-5, 5)) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]
            assert each.map(abs, iter([-1]), chunksize=10) == [1]
            assert each.map(abs, []) == each.starmap(pow, []) == []
            assert each.map_async(abs, range(-100, 0), chunksize=7).get() == [*range(100, 0, -1)]
            assert each.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
            assert each.starmap_async(pow, [(2, 3)], callback=None).get() == [8]
            assert list(each.imap(abs, range(-20, 0))) == [*range(20, 0, -1)]
            assert list(each.imap(abs, range(-20, 0), chunksize=6)) == [*range(20, 0, -1)]
            assert sorted(each.imap_unordered(abs, range(-20, 0), 3)) == [*range(1, 21)]


def test_functions_of_the_notebook(pool: Any, run: Run) -> None:
    names = run("factor = 3\nclass C:\n    def __init__(self, x):\n        self.x = x * factor")
    made = pool.map(names.C, range(3))
    assert [(type(c), c.x) for c in made] == [(names.C, 0), (names.C, 3), (names.C, 6)]
    assert pool.map(lambda c: c.x + 1, made) == [1, 4, 7]


def test_a_global_of_the_initializer_is_seen_by_the_calls(run: Run) -> None:
    names = run(
        "counter = None\n"
        "def prepare(shared):\n    global counter\n    counter = shared\n"
        "def count(x):\n    with counter:\n        counter.value += x"
    )
    total = mp.Value("i")
    with mp.Pool(2, names.prepare, (total,)) as pool:
        pool.map(names.count, range(50), chunksize=1)
    assert total.value == sum(range(50))


def test_what_was_defined_again_is_used(run: Run) -> None:
    run("class C:\n    n = 1\ndef helper():\n    return C.n\ndef work(_):\n    return helper()")
    with mp.Pool(1) as pool:
        assert pool.map(run("").work, [0]) == [1]
        assert pool.map(run("class C:\n    n = 2").work, [0]) == [2]
        assert pool.map(run("def helper():\n    return -C.n").work, [0]) == [-2]


def test_what_the_initializer_stores_in_a_class_stays(run: Run) -> None:
    names = run(
        "class C:\n    link = None\n"
        "def prepare():\n    C.link = 'made'\n"
        "def work(c):\n    return c.link, C.link"
    )
    with mp.Pool(1, names.prepare) as pool:
        for _ in range(2):
            assert pool.map(names.work, [names.C()]) == [("made", "made")]
            assert pool.apply(names.work, (names.C(),)) == ("made", "made")


def test_large_arrays_as_arguments(pool: Any) -> None:
    arrays = [np.full(1 << 18, i) for i in range(3)]

    def change(array: Any, text: str) -> Any:
        array[0] = 7
        return array, text

    changed = pool.starmap(change, [(a, "x" * 10) for a in arrays])
    assert [(a[0], a[1], text) for a, text in changed] == [(7, i, "x" * 10) for i in range(3)]
    assert [a[0] for a in arrays] == [0, 1, 2]


def test_shared_things_as_arguments(pool: Any) -> None:
    queue, array, lock = mp.Queue(), mp.Array("d", 3), mp.Lock()

    def work(queue: Any, array: Any, lock: Any, i: int) -> None:
        with lock:
            array[i % 3] += i
        queue.put(i)

    pool.starmap(work, [(queue, array, lock, i) for i in range(9)])
    assert sorted(queue.get() for _ in range(9)) == [*range(9)]
    assert list(array) == [9.0, 12.0, 15.0]


def test_an_anonymous_lock_is_refused_by_name(pool: Any) -> None:
    lock = multiprocessing.get_context("fork").Lock()
    with pytest.raises(TypeError, match=r"a Lock .* 'fork' has no name"):
        pool.apply(print, (lock,))


@pytest.mark.parametrize("call", ["map", "map_async", "imap", "imap_unordered", "apply"])
def test_what_a_call_raises(pool: Any, call: str) -> None:
    with pytest.raises(ValueError, match="3"):
        match call:
            case "apply":
                pool.apply(fails_at_three, (3,))
            case "map_async":
                pool.map_async(fails_at_three, range(5)).get()
            case _:
                list(getattr(pool, call)(fails_at_three, range(5)))


def test_an_iterator_goes_on_after_an_exception(pool: Any) -> None:
    results = pool.imap(fails_at_three, range(6))
    found = []
    while len(found) < 6:
        try:
            found.append(next(results))
        except ValueError:
            found.append("failed")
    assert found == [0, 1, 4, "failed", 16, 25]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


@pytest.mark.parametrize("call", ["imap", "imap_unordered"])
def test_what_the_iterable_raises(pool: Any, call: str) -> None:
    results = getattr(pool, call)(abs, fed([1, 2, 3]))
    got = []
    with pytest.raises(KeyError, match="no more"):
        for result in results:
            got.append(result)
    assert set(got) <= {1, 2, 3}


def test_an_endless_iterable(pool: Any) -> None:
    results = pool.imap(abs, itertools.count())
    assert list(itertools.islice(results, 100)) == [*range(100)]


def test_an_imap_that_nobody_looks_at_is_done_before_join(pool: Any) -> None:
    total = mp.Value("i")

    def count(x: int) -> None:
        with total:
            total.value += 1

    pool.imap_unordered(count, range(100))
    pool.close()
    pool.join()
    assert total.value == 100


def test_callbacks_come_before_the_result_is_ready(pool: Any) -> None:
    seen: list[Any] = []
    result = pool.map_async(abs, [-1, -2], callback=seen.append, error_callback=seen.append)
    result.wait()
    assert seen == [[1, 2]] and result.ready() and result.successful()
    failed = pool.apply_async(fails_at_three, (3,), callback=print, error_callback=seen.append)
    with pytest.raises(ValueError) as caught:
        failed.get()
    assert seen[1] is caught.value and not failed.successful()


def test_timeouts(pool: Any) -> None:
    gate = mp.Event()
    result = pool.apply_async(gate.wait)
    with pytest.raises(mp.TimeoutError):
        result.get(timeout=0)
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    results = pool.imap(lambda x: gate.wait() and x, [5])
    with pytest.raises(mp.TimeoutError):
        results.next(timeout=0)
    gate.set()
    assert result.get(timeout=60) is True
    assert results.next(timeout=60) == 5


def test_a_killed_worker_is_an_error_at_once(pool: Any) -> None:
    gate = mp.Event()

    def work(x: int) -> int:
        if x == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        gate.wait()
        return x

    result = pool.map_async(work, range(2), chunksize=1)
    with pytest.raises(WorkerDied, match=r"SIGKILL while it ran .*work"):
        result.get(timeout=60)
    gate.set()
    assert pool.map(abs, [-1, -2]) == [1, 2]


def test_workers_are_replaced_after_their_tasks() -> None:
    with mp.Pool(1, maxtasksperchild=2) as pool:
        pids = [pool.apply(os.getpid) for _ in range(6)]
    assert [len(list(group)) for _, group in itertools.groupby(pids)] == [2, 2, 2]


def test_the_end_of_a_pool() -> None:
    pool = mp.Pool(1)
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    result = pool.apply_async(abs, (-1,))
    pool.close()
    with pytest.raises(ValueError, match="not running"):
        pool.apply(abs, (-1,))
    pool.join()
    assert result.get() == 1


def test_terminate_stops_what_runs_and_what_waits() -> None:
    begun, never = mp.Event(), mp.Event()

    def work() -> None:
        begun.set()
        never.wait()

    pool = mp.Pool(1)
    running, waiting = pool.apply_async(work), pool.apply_async(abs, (-1,))
    begun.wait()
    pool.terminate()
    pool.join()
    for result in (running, waiting):
        with pytest.raises(mp.ProcessError, match="terminated"):
            result.get(timeout=60)


def test_an_interrupted_call_is_stopped(pool: Any) -> None:
    begun = mp.Event()

    def work(_: int) -> None:
        begun.set()
        threading.Event().wait()

    def interrupt() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        pool.map(work, range(2))
    assert pool.map(abs, [-1]) == [1]


def test_what_cant_be_pickled_is_said_by_the_result(pool: Any) -> None:
    with pytest.raises(TypeError, match="generator"):
        pool.map(len, [(i for i in range(3))])
    with pytest.raises(TypeError, match="generator"):
        pool.apply(lambda: (i for i in range(3)))
    assert pool.apply(abs, (-1,)) == 1


def test_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        mp.Pool(0)
    with pytest.raises(ValueError, match="max_tasks_per_child"):
        mp.Pool(1, maxtasksperchild=0)
    with pytest.raises(TypeError, match="callable"):
        mp.Pool(1, initializer=3)
    with mp.Pool(1) as pool, pytest.raises(ValueError, match="Chunksize"):
        pool.imap(abs, [1], chunksize=0)


def test_the_name_of_a_worker(pool: Any) -> None:
    name = pool.apply(lambda: multiprocessing.current_process().name)
    assert name.startswith("PoolWorker-")
