"""What travels arrives equal, once, and through memory that costs no more than it must."""

from __future__ import annotations

import array
import collections
import gc
import mmap
import os
import pickle
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mpmagic.pool import Parcel, Pool, fetching
from tests.pool import tasks

SIZES = [0, 1, 100, 20_000, 300_000, 5_000_000, 20_000_000]  # bytes: each way of travelling


@pytest.fixture(params=["in place", "segments"])
def way_back(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How large results come back: the second where the system forbids the first."""

    def forbidden(*_: Any) -> Any:
        raise PermissionError

    if request.param == "segments":
        monkeypatch.setattr(fetching, "read_remote", forbidden)
    return str(request.param)


@pytest.mark.usefixtures("way_back")
@pytest.mark.parametrize("size", SIZES)
def test_arrays_come_back_equal_and_writable(pool: Pool, size: int) -> None:
    sent = np.arange(size // 8, dtype="f8")
    back = pool.submit(tasks.identity, sent).result(60)
    assert back.dtype == sent.dtype and np.array_equal(back, sent)
    assert back.flags.writeable
    back += 1  # into memory of its own
    assert np.array_equal(pool.submit(tasks.identity, sent).result(60), sent)


@pytest.mark.parametrize("size", SIZES)
def test_what_a_task_writes_stays_with_it(new_pool: Callable[..., Pool], size: int) -> None:
    def spoil(values: Any) -> bool:
        before = values.copy()
        values[:] = -1
        return bool((before == np.arange(len(before))).all())

    pool = new_pool(1)
    sent = np.arange(size // 8, dtype="f8")
    assert [pool.submit(spoil, sent).result(60) for _ in range(3)] == [True] * 3
    assert np.array_equal(sent, np.arange(size // 8))


def test_a_changed_array_is_seen_changed(pool: Pool) -> None:
    values = np.zeros(500_000)
    for i in range(5):
        values[i] = 1
        assert pool.submit(np.sum, values).result(60) == i + 1


def test_a_task_sees_its_arguments_as_they_were_at_submission(
    new_pool: Callable[..., Pool],
) -> None:
    pool = new_pool(1)
    values = [np.zeros(10), np.zeros(500_000)]
    futures = []
    for i in range(5):
        futures.append(pool.submit(lambda pair: [float(a.sum()) for a in pair], values))
        values[0][i] = values[1][i] = 1
    assert [f.result(60) for f in futures] == [[i, i] for i in range(5)]


def test_readonly_stays_readonly(pool: Pool) -> None:
    for size in (10, 500_000):
        values = np.zeros(size)
        values.flags.writeable = False
        assert not pool.submit(lambda a: a.flags.writeable, values).result(60)
        values = np.zeros(size)
        assert pool.submit(lambda a: a.flags.writeable, values).result(60)


def test_many_kinds_of_data(pool: Pool) -> None:
    n = 50_000
    frame = pd.DataFrame(
        {"a": np.arange(n), "b": np.random.default_rng(1).random(n), "c": ["text"] * n}
    )
    series = pd.Series(pd.date_range("2020", periods=n, freq="s"), name="when")
    others = [
        b"\0" * 1_000_000,
        bytearray(range(256)) * 5000,
        array.array("d", range(n)),
        "ü€" * 300_000,
        list(range(200_000)),
        np.arange(n * 10)[::3],
        np.asfortranarray(np.arange(n * 4.0).reshape(n, 4)),
        np.array([None, "x", 3] * 1000, dtype=object),
        np.ma.masked_greater(np.arange(n * 8), 5),
        np.zeros((0, 5)),
        collections.Counter("hello"),
        range(5),
    ]
    pd.testing.assert_frame_equal(pool.submit(tasks.identity, frame).result(60), frame)
    pd.testing.assert_series_equal(pool.submit(tasks.identity, series).result(60), series)
    for value in others:
        back = pool.submit(tasks.identity, value).result(60)
        assert type(back) is type(value)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(back, value, strict=True)
        else:
            assert back == value


def test_arrow_and_polars_frames(pool: Pool) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    table = pyarrow.table({"x": np.arange(300_000), "s": ["a", "bc", None] * 100_000})
    assert pool.submit(tasks.identity, table).result(60).equals(table)
    frame = polars.from_arrow(table)
    assert pool.submit(tasks.identity, frame).result(60).equals(frame)


def test_a_buffer_is_sent_to_each_worker_once(new_pool: Callable[..., Pool]) -> None:
    """The segment that a worker maps is the same file for all tasks with this content."""

    def mapped_files(values: Any) -> set[str]:
        lines = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
        return {line[4] for line in lines if "memfd:mpmagic" in line[-2] and line[1] == "rw-p"}

    pool = new_pool(2)
    values = np.arange(1_000_000.0)
    first = set().union(*pool.map(mapped_files, [values] * 8))
    again = set().union(*pool.map(mapped_files, [values.copy()] * 8))
    assert len(first) == 1
    assert first == again


def test_small_things_make_no_segments(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    pool.submit(tasks.identity, 1).result(60)
    before = _segments()
    for i in range(50):
        pool.submit(tasks.identity, np.arange(i * 100)).result(60)
    assert _segments() == before


@pytest.mark.usefixtures("way_back")
def test_a_results_memory_is_free_when_the_array_is(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    arrays = [pool.submit(np.ones, 4_000_000).result(60) for _ in range(3)]
    assert all(a[0] == 1 for a in arrays)
    memory = [weakref.ref(_memory_of(a)) for a in arrays]
    view = arrays[0][5:10]
    del arrays
    gc.collect()
    assert [m() is not None for m in memory] == [True, False, False]
    del view
    gc.collect()
    assert memory[0]() is None


def _memory_of(values: Any) -> mmap.mmap:
    """Give the memory that an array alone has, and that is unmapped with it."""
    while isinstance(values, np.ndarray):
        values = values.base
    assert isinstance(values.obj, mmap.mmap)
    assert len(values.obj) == values.nbytes
    return values.obj


@pytest.mark.usefixtures("way_back")
@pytest.mark.parametrize("size", SIZES[2:])
def test_a_forked_process_has_results_of_its_own(pool: Pool, size: int) -> None:
    made = pool.submit(np.zeros, size // 8).result(60)
    told, tell = os.pipe()
    go, going = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.read(go, 1)  # until the parent has changed its own
            os.write(tell, bytes([int(made[0])]))
            made[1] = 2
        finally:
            os._exit(0)
    made[0] = 1
    os.write(going, b"x")
    os.waitpid(child, 0)
    assert os.read(told, 1) == b"\0"
    assert made[:2].tolist() == [1, 0]
    for fd in (told, tell, go, going):
        os.close(fd)


def test_segments_are_free_when_nobody_holds_them() -> None:
    before = _segments()
    with Pool(2) as pool:
        for i in range(10):
            assert pool.submit(np.sum, np.full(1_000_000, i)).result(60) == i * 1_000_000
    del pool
    gc.collect()
    assert _segments() == before


def test_more_than_fits_the_budget(new_pool: Callable[..., Pool], monkeypatch: Any) -> None:
    monkeypatch.setattr("mpmagic.pool.executor.budget", lambda: 10_000_000)
    pool = new_pool(1)
    pool.submit(tasks.identity, 1).result(60)
    before = _segments()
    arrays = [np.full(500_000, i) for i in range(10)]  # 4 MB each
    for _ in range(2):
        for i, values in enumerate(arrays):
            assert pool.submit(np.sum, values).result(60) == i * 500_000
    assert _segments() - before <= 3
    assert pool.submit(lambda *a: sum(int(x[0]) for x in a), *arrays).result(60) == 45


def test_many_different_arrays_over_time(new_pool: Callable[..., Pool]) -> None:
    """Each is held by a worker, far below its budget of bytes; descriptors are scarcer."""
    before = _segments()
    pool = new_pool(2)
    for i in range(400):
        assert pool.submit(np.sum, np.full(40_000, i)).result(60) == i * 40_000
    assert _segments() - before < 150


@pytest.mark.usefixtures("way_back")
def test_many_buffers_at_once(pool: Pool) -> None:
    arrays = {f"name {i}": np.full(3000, i) for i in range(2000)}
    back = pool.submit(tasks.identity, arrays).result(60)
    assert all(np.array_equal(back[k], v) for k, v in arrays.items())


def test_many_large_tasks_wait_without_a_descriptor_each(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    futures = [pool.submit(np.sum, np.full(40_000, i)) for i in range(1500)]
    assert len(list(Path("/proc/self/fd").iterdir())) < 400
    assert [f.result(60) for f in futures] == [i * 40_000 for i in range(1500)]


# Parcels


class Payload:
    """Bytes and buffers, as the run of a cell sends them."""

    def __init__(self, value: Any) -> None:
        self.buffers: list[pickle.PickleBuffer] = []
        self.stream = pickle.dumps(value, protocol=5, buffer_callback=self.buffers.append)

    def open(self) -> Any:
        return pickle.loads(self.stream, buffers=self.buffers)


def _total(parcels: dict[str, Parcel]) -> float:
    return float(sum(p.payload.open().sum() for p in parcels.values()))


def _identity_of(parcel: Parcel) -> tuple[int, int]:
    return os.getpid(), id(parcel.payload)


def test_a_parcel_is_one_object_in_each_worker(pool: Pool) -> None:
    parcel = Parcel(b"key", Payload(np.arange(1_000_000)))
    seen = {pool.submit(_identity_of, parcel).result(60) for _ in range(10)}
    assert len(seen) == len({pid for pid, _ in seen})


@pytest.mark.parametrize("size", SIZES)
def test_a_parcels_payload_arrives(pool: Pool, size: int) -> None:
    values = np.arange(size // 8)
    parcels = {"a": Parcel(b"a%d" % size, Payload(values)), "b": Parcel(b"b", Payload(values))}
    for _ in range(4):
        assert pool.submit(_total, parcels).result(60) == 2 * values.sum()


def test_a_parcel_is_pickled_once(pool: Pool) -> None:
    pickled = []

    class Counted:
        def __reduce__(self) -> Any:
            pickled.append(1)
            return list, ()

    parcel = Parcel(b"counted", Counted())
    for _ in range(10):
        assert pool.submit(lambda p: p.payload, parcel).result(60) == []
    assert len(pickled) == 1


def test_a_new_worker_gets_the_parcel_too(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    parcel = Parcel(b"key", Payload(np.arange(1_000_000)))
    for _ in range(3):
        assert pool.submit(_total, {"a": parcel}).result(60) == 499999500000
        pool.submit(tasks.kill_self).exception(60)


def test_parcels_beyond_the_budget_are_sent_again(
    new_pool: Callable[..., Pool], monkeypatch: Any
) -> None:
    monkeypatch.setattr("mpmagic.pool.executor.budget", lambda: 10_000_000)
    pool = new_pool(1)
    parcels = [Parcel(b"%d" % i, Payload(np.full(500_000, i))) for i in range(6)]
    for _ in range(3):
        for i, parcel in enumerate(parcels):
            assert pool.submit(_total, {"a": parcel}).result(60) == i * 500_000


def test_a_task_can_throw_a_parcel_away(new_pool: Callable[..., Pool]) -> None:
    def spoil(parcel: Parcel) -> float:
        from mpmagic.pool import throw_away

        before = float(parcel.payload.open()[0])
        parcel.payload.open()[0] = 99
        throw_away(parcel.key)
        return before

    pool = new_pool(1)
    parcel = Parcel(b"key", Payload(np.zeros(1_000_000)))
    assert [pool.submit(spoil, parcel).result(60) for _ in range(3)] == [0, 0, 0]


def test_a_parcel_works_with_other_executors() -> None:
    values = np.arange(100_000)
    parcel = Parcel(b"key", Payload(values))
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(_total, {"a": parcel}).result(60) == values.sum()
    for protocol in (4, 5):
        assert pickle.loads(pickle.dumps(parcel, protocol)).payload.open().sum() == values.sum()


# Classes


def test_the_notebooks_classes_keep_their_state(pool: Pool) -> None:
    """An instance that comes back is of the very class, which isn't reset to what was sent."""

    class Thing:
        count = 0

        def __init__(self, n: int) -> None:
            self.n = n

        def name(self) -> str:
            return f"old {self.n}"

    Thing.__module__ = "__main__"
    future = pool.submit(lambda n: Thing(n), 3)
    future.exception(60)
    Thing.count = 10
    Thing.name = lambda self: f"new {self.n}"  # type: ignore[method-assign]
    thing = future.result(60)
    assert type(thing) is Thing
    assert (Thing.count, thing.name()) == (10, "new 3")


def test_a_class_made_in_the_task_comes_back_by_value(pool: Pool) -> None:
    def make() -> Any:
        class Inner:
            value = 5

        return Inner()

    made = [pool.submit(make).result(60) for _ in range(3)]
    assert [m.value for m in made] == [5, 5, 5]


def test_no_name_in_shared_memory(pool: Pool) -> None:
    """The file that a worker maps an array from can't be found by any path."""
    *_, file = pool.submit(tasks.mapping_of, np.zeros(1_000_000)).result(60)
    assert file == "/memfd:mpmagic (deleted)"


def _segments() -> int:
    """Count this process's anonymous files."""
    links = (_target(f) for f in Path("/proc/self/fd").iterdir())
    return sum("memfd:mpmagic" in link for link in links)


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except FileNotFoundError:
        return ""
