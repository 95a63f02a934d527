"""Memory that nobody has stored into is known by the key that it came with."""

from __future__ import annotations

import gc
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mpmagic.pool import Parcel, Pool, untouched
from mpmagic.pool.content import content_key
from mpmagic.pool.segment import Segment, map_private
from mpmagic.pool.untouched import Untouched
from tests.pool import tasks

SIZE = 5 * mmap.PAGESIZE + 123
CONTENT = bytes(range(256)) * (SIZE // 256 + 1)


@pytest.fixture
def segment() -> Segment:
    buffer = memoryview(CONTENT)[:SIZE]
    return Segment(content_key([buffer]), [buffer])


@pytest.fixture
def mapping(segment: Segment) -> Iterator[mmap.mmap]:
    fd = os.dup(segment.descriptors[0])
    yield map_private(fd, segment.size)
    os.close(fd)


linux = pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="no pagemap here")


@linux
def test_what_is_read_stays_known(segment: Segment, mapping: mmap.mmap) -> None:
    known = Untouched()
    known.note(mapping, SIZE, segment.key)
    view = memoryview(mapping)[:SIZE]
    assert known.key(view) == segment.key
    assert bytes(view) == CONTENT[:SIZE]
    assert known.key(view) == segment.key


@linux
@pytest.mark.parametrize("place", [0, mmap.PAGESIZE * 3, SIZE - 1])
def test_what_is_stored_into_is_not(segment: Segment, mapping: mmap.mmap, place: int) -> None:
    known = Untouched()
    known.note(mapping, SIZE, segment.key)
    view = memoryview(mapping)[:SIZE]
    mapping[place] ^= 255
    assert known.key(view) is None
    assert content_key([view]) != segment.key
    mapping[place] ^= 255
    assert known.key(view) is None
    assert content_key([view]) == segment.key  # the same digest as if it were known


def test_others_are_not_known(segment: Segment, mapping: mmap.mmap) -> None:
    known = Untouched()
    known.note(mapping, SIZE, segment.key)
    assert known.key(memoryview(CONTENT)) is None
    assert known.key(memoryview(mapping)[: SIZE - 1]) is None
    assert known.key(memoryview(mapping)[1:SIZE]) is None
    assert known.key(memoryview(b"")) is None


def test_it_is_forgotten_with_the_mapping(segment: Segment) -> None:
    known = Untouched()
    mapping = map_private(segment.descriptors[0], segment.size)
    known.note(mapping, SIZE, segment.key)
    known.key(memoryview(mapping)[:SIZE])
    del mapping
    gc.collect()
    assert not known._mapped


def test_where_the_system_does_not_tell(
    segment: Segment, mapping: mmap.mmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says of no page that it was stored into is found out on a trial."""
    untouched._is_known.cache_clear()
    monkeypatch.setattr(untouched, "_is_untouched", lambda address, size: True)
    known = Untouched()
    known.note(mapping, SIZE, segment.key)
    assert known.key(memoryview(mapping)[:SIZE]) is None
    untouched._is_known.cache_clear()


@linux
def test_in_a_worker(new_pool: Callable[..., Pool]) -> None:
    array = np.arange(1 << 20, dtype=np.float64)
    key = content_key([memoryview(array).cast("B")])
    pool = new_pool(1)
    parcel = Parcel(b"array", array)
    assert pool.submit(tasks.known_content, parcel).result(30) == (key, key)
    assert pool.submit(tasks.known_content, parcel, 0.0).result(30) == (None, key)
    found, now = pool.submit(tasks.known_content, parcel, 1.0).result(30)
    assert found is None
    assert now != key
