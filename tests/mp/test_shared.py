"""Arrays in common memory: seen by all, and gone with the last that uses it."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import mpmagic
from mpmagic import mp
from mpmagic.pool.sharedarray import is_shared_array
from tests.kernel.session import gone, kernel

METHODS = ["forkserver", "spawn", "fork"]


def segments() -> set[str]:
    """The inodes of segments that are mapped in this process."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[4] for line in lines if "memfd:mpmagic" in line}


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20)[::3],
        np.array(5.0),
        np.zeros((0, 3)),
        np.array([("a", 1.5)], dtype=[("name", "U3"), ("x", "f8")]),
        np.array(["2024-01-01"], dtype="M8[D]"),
    ],
    ids=["matrix", "fortran", "strided", "scalar", "empty", "records", "dates"],
)
def test_it_is_the_same_array(array: Any) -> None:
    result = mpmagic.shared(array)
    assert type(result) is np.ndarray and is_shared_array(result)
    assert result.dtype == array.dtype and result.shape == array.shape
    assert np.array_equal(result, array) and not np.shares_memory(result, array)
    assert result.flags.f_contiguous == array.flags.f_contiguous or array.ndim < 2


def test_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="Python objects"):
        mpmagic.shared([object()])


def test_views_are_shared_and_results_are_not() -> None:
    array = mpmagic.shared(np.arange(10))
    assert is_shared_array(array[2:5]) and is_shared_array(array.reshape(2, 5).T)
    assert not is_shared_array(array + 1) and not is_shared_array(array.copy())
    for other in (pickle.loads(pickle.dumps(array)), copy.deepcopy(array)):
        assert not is_shared_array(other) and np.array_equal(other, array)


@pytest.mark.parametrize("method", METHODS)
def test_a_process_stores_in_place(method: str) -> None:
    array = mpmagic.shared(np.zeros((4, 3)))

    def store(column: Any) -> None:
        column[:] = [1, 2, 3, 4]

    process = mp.get_context(method).Process(target=store, args=(array[:, 1],))
    process.start()
    process.join()
    assert array.tolist() == [[0, i, 0] for i in (1, 2, 3, 4)]


def test_the_workers_of_a_pool_store_in_place() -> None:
    array = mpmagic.shared(np.zeros(20, dtype=int))

    def store(i: int, part: Any) -> Any:
        array[i] += i
        part[0] += 1
        return part

    with mp.Pool(2) as pool:
        parts = pool.starmap(store, [(i, array[i : i + 1]) for i in range(20)])
    assert array.tolist() == [i + 1 for i in range(20)]
    assert all(np.shares_memory(part, array) for part in parts)


def test_a_read_only_view_stays_so() -> None:
    array = mpmagic.shared(np.zeros(3))
    view = array[:]
    view.flags.writeable = False
    with mp.Pool(1) as pool, pytest.raises(ValueError, match="read-only"):
        pool.apply(lambda v: v.fill(1), (view,))


def test_memory_is_freed_with_the_last_view() -> None:
    before = segments()
    array = mpmagic.shared(np.zeros(1000))
    part = array[5:]
    (own,) = segments() - before
    del array
    gc.collect()
    assert own in segments() and part[0] == 0
    del part
    gc.collect()
    assert own not in segments()


def test_what_is_gone_is_said_to_be_gone() -> None:
    from mpmagic.mp.pickling import dumps, loads

    def dumped() -> Any:
        return dumps(mpmagic.shared(np.arange(3)))

    data, sources = dumped()
    gc.collect()
    with pytest.raises(RuntimeError, match="closed there"):
        loads(data, sources)


def test_loops_store_in_place_and_a_killed_kernel_leaves_nothing() -> None:
    with kernel() as session:
        reply = session.execute(
            "%%parallel -n 2 -q\nimport os, numpy as np, mpmagic\n"
            "squares = mpmagic.shared(np.zeros(50, dtype=int))\n"
            "views, pids = [], set()\n"
            "for i in range(len(squares)):\n"
            "    squares[i] = i * i\n"
            "    views.append(squares[i:])\n"
            "    pids.add(os.getpid())\n"
            "squares[0] = 7"
        )
        assert reply.status == "ok", reply.traceback
        assert session.value("squares.tolist()") == [7, *(i * i for i in range(1, 50))]
        assert session.value("views[0].tolist() == squares.tolist()") is True
        workers = [psutil.Process(pid) for pid in session.value("sorted(pids)")]
        left = session.processes()
        assert all(worker in left for worker in workers)
        os.kill(session.kernel_pid, signal.SIGKILL)
        assert gone(left)
