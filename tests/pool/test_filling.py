"""Large buffers are copied by several threads, and are what they were."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mpmagic.pool import filling
from mpmagic.pool.segment import Segment, read_copy

SIZES = (filling._LARGE, filling._LARGE + 1, filling._LARGE + 3 * filling._BLOCK + 4097)


def _bytes(size: int) -> memoryview:
    return memoryview(np.random.default_rng(size).bytes(size))


@pytest.mark.parametrize("helpers", [0, 1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_what_helpers_copy_is_what_was_there(
    size: int, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "_helpers", lambda: helpers)
    buffers = [_bytes(size), _bytes(70), _bytes(size + 5)]
    segment = Segment(b"", buffers, helped=True)
    for buffer, offset in zip(buffers, segment.layout.offsets, strict=True):
        assert read_copy(segment.fileno(), offset, buffer.nbytes) == buffer


def test_helpers_have_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[int] = []
    store = filling._store

    def counted(mapping: object, buffer: memoryview, offset: int, blocks: object) -> None:
        taken = list(blocks)  # type: ignore[call-overload]
        shares.append(len(taken))
        store(mapping, buffer, offset, iter(taken))  # type: ignore[arg-type]

    monkeypatch.setattr(filling, "_helpers", lambda: 1)
    monkeypatch.setattr(filling, "_store", counted)
    buffer = _bytes(20 * filling._BLOCK)
    segment = Segment(b"", [buffer], helped=True)
    assert len(shares) == 1
    assert read_copy(segment.fileno(), 0, buffer.nbytes) == buffer


def test_no_room_for_a_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no address space")

    monkeypatch.setattr(filling, "_helpers", lambda: 2)
    monkeypatch.setattr(filling.mmap, "mmap", refuse)
    buffer = _bytes(filling._LARGE)
    segment = Segment(b"", [buffer], helped=True)
    assert os.pread(segment.fileno(), buffer.nbytes, 0) == buffer


def test_no_helpers_where_memory_may_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "cpu_count", lambda: 4)
    helpers = filling._helpers.__wrapped__
    for policy, wanted in (("0\n", 3), ("1\n", 3), ("2\n", 0)):
        monkeypatch.setattr(Path, "read_text", lambda _, policy=policy: policy)
        assert helpers() == wanted
