"""The key of what buffers hold."""

from __future__ import annotations

import numpy as np
import pytest

from mpmagic.pool import content
from mpmagic.pool.content import content_key


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_BLOCK", 64)
    monkeypatch.setattr(content, "_WORTH_HELP", 256)
    monkeypatch.setattr(content, "_helpers", lambda: 3)


@pytest.mark.usefixtures("_small_blocks")
def test_helpers_make_no_difference() -> None:
    for size in (0, 1, 255, 256, 257, 10_000):
        view = memoryview(np.random.default_rng(size).bytes(size))
        assert content_key([view], helped=True) == content_key([view])


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("place", [0, 63, 64, 4_999, 9_999])
def test_each_byte_counts(place: int) -> None:
    data = bytearray(10_000)
    before = content_key([memoryview(data)], helped=True)
    data[place] = 1
    assert content_key([memoryview(data)], helped=True) != before


@pytest.mark.usefixtures("_small_blocks")
def test_where_they_are_cut_counts() -> None:
    data = memoryview(bytes(1_000))
    keys = {content_key([data[:n], data[n:]]) for n in range(0, 1_000, 50)}
    assert len(keys) == 20


@pytest.mark.usefixtures("_small_blocks")
def test_blocks_in_another_order_are_others() -> None:
    one, other = bytes(64), bytes([1]) * 64
    keys = {content_key([memoryview(a + b + one * 3)]) for a in (one, other) for b in (one, other)}
    assert len(keys) == 4
