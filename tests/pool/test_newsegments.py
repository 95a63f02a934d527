"""Segments that several threads make: each holds its content, whoever made it."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from mpmagic.pool import newsegments
from mpmagic.pool.newsegments import new_segments
from mpmagic.pool.segment import Segment
from tests.pool.segments import holds

MEGABYTE = 1 << 20
SIZES = {
    "none": [],
    "a small one": [100],
    "a large one": [80 * MEGABYTE],
    "many small ones": [1000 * n for n in range(1, 20)],
    "several of a size": [5 * MEGABYTE] * 7,
    "a large one and others": [20 * MEGABYTE, 5 * MEGABYTE, 6 * MEGABYTE, 10],
}


def contents(sizes: list[int]) -> dict[bytes, list[memoryview]]:
    """For each size two pieces, of random bytes."""
    draw = np.random.default_rng(len(sizes))
    made = {}
    for number, size in enumerate(sizes):
        whole = memoryview(draw.bytes(size))
        made[b"%d" % number] = [whole[: size // 3], whole[size // 3 :]]
    return made


@pytest.mark.parametrize("processors", [1, 2, 64])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_each_holds_its_content(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], processors: int
) -> None:
    monkeypatch.setattr(newsegments, "processors", lambda: processors)
    wanted = contents(sizes)
    made = new_segments(wanted)
    assert {segment.key for segment in made} == wanted.keys()
    for segment in made:
        assert holds(segment, wanted[segment.key])


def test_those_for_which_there_is_no_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(key: bytes, *given: object, **options: object) -> Segment:
        if key == b"3":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Segment(key, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(newsegments, "Segment", without_memory)
    monkeypatch.setattr(newsegments, "processors", lambda: 2)
    wanted = contents([5 * MEGABYTE] * 7)
    made = new_segments(wanted)
    assert {segment.key for segment in made} == wanted.keys() - {b"3"}
    for segment in made:
        assert holds(segment, wanted[segment.key])
