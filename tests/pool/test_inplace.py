"""Large results are read where the worker has them, and are what it returned."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psutil
import pytest

from mpmagic.errors import WorkerDied
from mpmagic.pool import Parcel, Pool, fetching, remote
from mpmagic.pool.message import Distant, Seal
from mpmagic.pool.parts import Room
from mpmagic.pool.remote import read_remote
from tests.pool import tasks

linux = pytest.mark.skipif(sys.platform != "linux", reason="read in place on Linux only")

LARGE = 1 << 18  # numbers of 8 bytes
NONCE = b"0123456789abcdef"
Read = Callable[[int, Seal, Sequence[Distant]], list[Room]]


def frozen() -> Any:
    values = np.arange(LARGE)
    values.flags.writeable = False
    return values


RESULTS: list[Callable[[], Any]] = [
    lambda: np.arange(LARGE) * 0.1,
    frozen,
    lambda: np.asfortranarray(np.arange(LARGE).reshape(1 << 9, -1)),
    lambda: [np.full(20_000 + i, i) for i in range(30)],
    lambda: [np.full(2_048, i) for i in range(700)],
    lambda: {"a": np.arange(LARGE), "small": np.arange(3), "text": "x" * LARGE * 9},
    lambda: [float(i) for i in range(LARGE)],
    lambda: (bytearray(b"ab" * LARGE * 4), b"cd" * LARGE * 4),
]


def nth_result(number: int) -> Any:
    return RESULTS[number]()


def written_and_sent(number: int, parcel: Parcel) -> Any:
    from mpmagic.pool import throw_away

    print("written once")
    throw_away(parcel.key)
    return np.full(LARGE, number)


OWN = np.zeros(LARGE)


def count_up() -> Any:
    OWN[:] += 1
    return OWN


def flags(value: Any) -> list[tuple[bool, ...]]:
    arrays = [value] if isinstance(value, np.ndarray) else list(value)
    return [
        (a.flags.writeable, a.flags.c_contiguous, a.flags.f_contiguous)
        for a in arrays
        if isinstance(a, np.ndarray)
    ]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were read from."""
    read: list[int] = []

    def noted(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
        read.append(pid)
        return read_remote(pid, seal, parts)

    monkeypatch.setattr(fetching, "read_remote", noted)
    return read


@linux
@pytest.mark.parametrize("number", range(len(RESULTS)))
def test_results_are_what_was_returned(pool: Pool, reads: list[int], number: int) -> None:
    result = pool.submit(nth_result, number).result(60)
    assert len(reads) == 1
    np.testing.assert_equal(result, nth_result(number))
    assert flags(result) == flags(nth_result(number))


@linux
def test_a_result_is_this_processs_own_memory(pool: Pool, reads: list[int]) -> None:
    result = pool.submit(nth_result, 0).result(60)
    assert reads
    assert tasks.mapping_of(result) == ["rw-p", "00000000", "00:00", "0"]


@linux
def test_the_next_task_waits_until_a_result_is_read(
    new_pool: Callable[..., Pool], reads: list[int]
) -> None:
    pool = new_pool(1)
    futures = [pool.submit(count_up) for _ in range(30)]
    assert [set(f.result(60).tolist()) for f in futures] == [{i + 1.0} for i in range(30)]
    assert len(reads) == 30


def _forbid(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def _misread(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
    return read_remote(pid, seal._replace(nonce=NONCE), parts)


@linux
@pytest.mark.parametrize("read", [_forbid, _misread])
def test_what_cant_be_read_is_sent_again(
    new_pool: Callable[..., Pool],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    read: Read,
) -> None:
    """It's asked for once in each worker; what the task wrote and threw away isn't told twice."""
    tried: list[int] = []

    def tries(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
        tried.append(pid)
        return read(pid, seal, parts)

    monkeypatch.setattr(fetching, "read_remote", tries)
    pool = new_pool(1)
    parcel = Parcel(b"key", np.arange(10))
    for i in range(4):
        result = pool.submit(written_and_sent, i, parcel).result(60)
        np.testing.assert_array_equal(result, np.full(LARGE, i))
    assert len(tried) == 1
    assert capsys.readouterr().out == "written once\n" * 4


@linux
def test_without_room_here_it_is_sent_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, reads: list[int]
) -> None:
    def no_room(size: int) -> Room:
        raise MemoryError

    monkeypatch.setattr(remote, "_new_room", no_room)
    np.testing.assert_array_equal(pool.submit(nth_result, 0).result(60), nth_result(0))
    assert reads


@linux
def test_without_threads_here_it_is_read_all_the_same(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, reads: list[int]
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    assert pool.submit(tasks.square, 3).result(60) == 9
    monkeypatch.setattr(threading.Thread, "start", refuse)
    np.testing.assert_array_equal(pool.submit(nth_result, 0).result(60), nth_result(0))
    assert reads


def _kill(pid: int) -> None:
    worker = psutil.Process(pid)
    worker.kill()
    worker.wait(60)


@linux
@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_that_dies_before_it_is_read(
    new_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    killed: list[int] = []

    def kill_first(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
        if not killed:
            killed.append(pid)
            _kill(pid)
        return read_remote(pid, seal, parts)

    monkeypatch.setattr(fetching, "read_remote", kill_first)
    pool = new_pool(2, retries=retries)
    future = pool.submit(nth_result, 0)
    if retries:
        np.testing.assert_array_equal(future.result(60), nth_result(0))
    else:
        with pytest.raises(WorkerDied, match="SIGKILL"):
            future.result(60)
    np.testing.assert_array_equal(pool.submit(nth_result, 0).result(60), nth_result(0))


@linux
@pytest.mark.parametrize("method", ["interrupt", "shutdown"])
def test_what_comes_while_a_result_is_read(
    new_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The task was done by then: its result is the answer."""
    reading, go_on = threading.Event(), threading.Event()

    def wait(pid: int, seal: Seal, parts: Sequence[Distant]) -> list[Room]:
        reading.set()
        go_on.wait(60)
        return read_remote(pid, seal, parts)

    monkeypatch.setattr(fetching, "read_remote", wait)
    pool = new_pool(1)
    future = pool.submit(nth_result, 0)
    assert reading.wait(60)
    if method == "interrupt":
        pool.interrupt([future])
    else:
        pool.shutdown(wait=False)
    go_on.set()
    np.testing.assert_array_equal(future.result(60), nth_result(0))


def _distant(memory: bytearray) -> Distant:
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return Distant(address, len(memory), False)


@pytest.fixture
def seal() -> Seal:
    return Seal(_distant(SEALED).address, NONCE)


SEALED = bytearray(NONCE)


@linux
@pytest.mark.parametrize(
    ("piece", "pieces", "most"), [(1, 3, 5), (1000, 2, 1500), (7, 512, 1 << 20)]
)
def test_it_is_read_in_pieces(
    monkeypatch: pytest.MonkeyPatch, seal: Seal, piece: int, pieces: int, most: int
) -> None:
    monkeypatch.setattr(remote, "_LARGEST_PIECE", piece)
    monkeypatch.setattr(remote, "_MOST_PIECES", pieces)
    monkeypatch.setattr(remote, "_MOST_BYTES", most)
    memory = [bytearray(os.urandom(size)) for size in (1, 5, 1000, 1001, 1, 4096)]
    rooms = read_remote(os.getpid(), seal, [_distant(m) for m in memory])
    assert [bytes(room) for room in rooms] == [bytes(m) for m in memory]


@linux
def test_no_other_processs_memory_is_taken_for_the_workers(seal: Seal) -> None:
    """Its number may be another's by now."""
    part = _distant(bytearray(b"data"))
    with pytest.raises(OSError, match="can't be read"):
        read_remote(os.getpid(), seal._replace(nonce=NONCE[::-1]), [part])


@linux
def test_what_isnt_there_is_an_error(seal: Seal) -> None:
    with pytest.raises(OSError, match=r"Bad address|can't be read"):
        read_remote(os.getpid(), seal, [Distant(8, 100, False)])  # the first page is nobody's
