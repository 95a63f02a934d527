"""Large buffers are copied by several threads into several files, and are what they were."""

from __future__ import annotations

import errno
import gc
import os
import threading
from collections.abc import Callable

import numpy as np
import pytest

from mpmagic.pool import Pool, filling
from mpmagic.pool.segment import Segment, map_striped
from tests.pool.segments import content_of, holds

SMALLEST = filling._SMALLEST_STRIPE
UNIT = filling._UNIT


def _bytes(size: int) -> memoryview:
    return memoryview(np.random.default_rng(size).bytes(size))


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the machine so many of them."""
    return lambda count: monkeypatch.setattr(filling, "_processors", lambda: count)


@pytest.mark.parametrize("count", [1, 2, 3, 64])
@pytest.mark.parametrize("size", [2 * SMALLEST, 2 * SMALLEST + 1, 3 * SMALLEST + 4097])
def test_what_is_copied_is_what_was_there(
    size: int, count: int, processors: Callable[[int], None]
) -> None:
    processors(count)
    buffers = [_bytes(70), _bytes(size), _bytes(71), _bytes(5000)]
    segment = Segment(b"", buffers, helped=True)
    assert len(segment.descriptors) == min(count, segment.size // SMALLEST)
    assert sum(os.fstat(fd).st_size for fd in segment.descriptors) == segment.size
    assert holds(segment, buffers)


def test_buffers_that_begin_and_end_where_stripes_do(processors: Callable[[int], None]) -> None:
    processors(2)
    buffers = [_bytes(SMALLEST), _bytes(SMALLEST)]
    segment = Segment(b"", buffers, helped=True)
    assert segment.layout.offsets == [0, segment.stripe]
    assert holds(segment, buffers)


@pytest.mark.parametrize(
    ("size", "count", "files"),
    [
        (0, 8, 1),
        (2 * SMALLEST - 1, 8, 1),
        (2 * SMALLEST, 8, 2),
        (2 * SMALLEST, 1, 1),
        (100 * SMALLEST, 8, 8),
        (100 * SMALLEST, 100, 8),
        (100 * SMALLEST + 1, 3, 3),
    ],
)
def test_how_many_files(
    size: int, count: int, files: int, processors: Callable[[int], None]
) -> None:
    processors(count)
    stripe = filling.stripe_of(size, helped=True)
    assert files == max(1, -(-size // stripe))
    assert files == 1 or stripe % UNIT == 0
    assert filling.stripe_of(size, helped=False) >= size


def test_what_is_stored_stays_with_the_mapping(processors: Callable[[int], None]) -> None:
    processors(2)
    segment = Segment(b"", [_bytes(2 * SMALLEST)], helped=True)
    mine, others = content_of(segment), content_of(segment)
    for place in (0, segment.stripe - 1, segment.stripe, segment.size - 1):
        before = others[place]
        mine[place] = before ^ 255
        assert others[place] == before
        assert content_of(segment)[place] == before


def test_a_mapping_leaves_nothing_behind(processors: Callable[[int], None]) -> None:
    processors(2)
    segment = Segment(b"", [_bytes(2 * SMALLEST)], helped=True)
    before = _mapped()
    mapping = map_striped(segment.descriptors, segment.size, segment.stripe)
    assert _mapped() - before == 2
    del mapping
    gc.collect()
    assert _mapped() == before


def _mapped() -> int:
    with open("/proc/self/maps") as maps:
        return sum("memfd:mpmagic" in line for line in maps)


def test_no_room_for_a_mapping(processors: Callable[[int], None]) -> None:
    processors(2)
    segment = Segment(b"", [_bytes(2 * SMALLEST)], helped=True)
    before = _mapped()
    with pytest.raises(OSError, match="Bad file descriptor"):
        map_striped((segment.descriptors[0], 987654), segment.size, segment.stripe)
    assert _mapped() == before


def test_no_memory_for_a_stripe(
    processors: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever thread it is that has none."""
    processors(2)
    write = os.pwrite

    def refuse(fd: int, data: memoryview, offset: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data, offset)

    def all_by_another(work: Callable[[], object], *, helpers: int) -> None:
        helper = threading.Thread(target=work)
        helper.start()
        helper.join()

    monkeypatch.setattr(filling.os, "pwrite", refuse)
    monkeypatch.setattr(filling, "share", all_by_another)
    with pytest.raises(OSError, match="No space left"):
        Segment(b"", [_bytes(2 * SMALLEST)], helped=True)


def test_who_is_left_behind_writes_into_no_other_file(
    processors: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt ends the copying, but not the threads that help."""
    processors(2)
    began, go_on = threading.Event(), threading.Event()
    helpers, written = list[threading.Thread](), list[int]()
    write = os.pwrite

    def slow(fd: int, data: memoryview, offset: int) -> int:
        if threading.current_thread() is threading.main_thread():
            assert began.wait(30)
            raise KeyboardInterrupt
        helpers.append(threading.current_thread())
        began.set()
        assert go_on.wait(30)
        written.append(os.fstat(fd).st_size)
        return write(fd, data, offset)

    monkeypatch.setattr(filling.os, "pwrite", slow)
    with pytest.raises(KeyboardInterrupt):
        Segment(b"", [_bytes(2 * SMALLEST)], helped=True)
    gc.collect()
    others = [os.memfd_create("other") for _ in range(4)]  # would get the numbers that are free
    go_on.set()
    helpers[0].join()
    assert written == [SMALLEST]
    assert [os.fstat(fd).st_size for fd in others] == [0] * 4
    for fd in others:
        os.close(fd)


def test_workers_see_what_there_is(
    new_pool: Callable[..., Pool], processors: Callable[[int], None]
) -> None:
    processors(2)
    array = np.random.default_rng(3).integers(1 << 40, size=3 * SMALLEST // 8 + 5)
    pool = new_pool(1)

    def total(array: np.ndarray) -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            mapped = sum("memfd:mpmagic" in line and "rw-p" in line for line in maps)
        return int(array.sum()), mapped

    for _ in range(2):  # the second time it's there already
        assert pool.submit(total, array).result(60) == (int(array.sum()), 2)
