"""The kernels and the cutting into pieces, against `bytes.count` and Python's iteration."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic.count import newlines
from mpmagic.count.openfile import OpenFile
from mpmagic.count.places import Place
from mpmagic.count.record import FileCount, Status
from mpmagic.count.scan import Span, SpanReader, Watch, scan
from mpmagic.count.tally import Tally

TEXTS = st.lists(
    st.sampled_from([b"\n", b"\n\n\n", b"\r\n", b"a", b"word ", b"\0", b"\xff\xfe", b"x" * 9])
).map(b"".join)


def truth(data: bytes, path: Path) -> tuple[int, int, int]:
    path.write_bytes(data)
    with path.open("rb") as lines:
        return sum(1 for _ in lines), data.count(b"\n"), len(data)


def summed(file: OpenFile, span: Span, block: newlines.Block) -> Tally:
    tally = Tally()
    scan(SpanReader(file.descriptor, span, Watch()), block, tally)
    return tally


def counted(path: Path, piece: int, room: int) -> FileCount:
    """Count a file in pieces of `piece` bytes through a buffer of `room` bytes."""
    file = OpenFile(Place(str(path), path.stat().st_size), piece)
    if not file.spans:
        return file.close()
    record = None
    for span in reversed(file.spans):
        block = newlines._PlainBlock(room)
        record = file.finish(span, summed(file, span, block))
    assert record is not None
    return record


@settings(deadline=None)
@given(data=TEXTS, piece=st.integers(1, 20), room=st.integers(1, 20))
def test_pieces_add_up(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, piece: int, room: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "pieces"
    expected = truth(data, path)
    record = counted(path, piece, room)
    assert (record.lines, record.newlines, record.bytes) == expected
    assert record.status is Status.COUNTED


@pytest.mark.parametrize("around", [1, 4 << 10, 1 << 20, 2 << 20])
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("values", [(9, 12), (10, 11), (0, 256)])
def test_vectorised_kernel(around: int, offset: int, values: tuple[int, int]) -> None:
    filled = min(around + offset, newlines.BLOCK)
    data = np.random.default_rng(filled).integers(*values, newlines.BLOCK, dtype=np.uint8)
    block = newlines._VectorBlock()
    block.view[:] = data.tobytes()
    assert block.newlines(filled) == data[:filled].tobytes().count(b"\n")


def test_a_hole_is_counted_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"one\n")
        file.seek(64 << 20)
        file.write(b"two\nthree\n")
        file.truncate(200 << 20)
    record = counted(path, 1 << 20, 1 << 20)
    assert (record.lines, record.newlines, record.bytes) == (4, 3, 200 << 20)


def test_only_the_data_of_a_sparse_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as data:
        data.truncate(1 << 40)
    if path.stat().st_blocks:
        pytest.skip("this file system has no holes")
    record = counted(path, 1 << 20, 1 << 20)
    assert (record.lines, record.newlines, record.bytes) == (1, 0, 1 << 40)


def test_a_file_that_shrinks_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(b"line\n" * 1000)
    file = OpenFile(Place(str(path), 5000), 1000)
    os.truncate(path, 2500)
    records = [
        file.finish(span, summed(file, span, newlines._PlainBlock(64))) for span in file.spans
    ]
    assert records[:-1] == [None] * 4
    last = records[-1]
    assert last is not None
    assert (last.status, last.newlines, last.bytes) == (Status.PARTIAL, 500, 2500)
    assert "shrank from 5,000 to 2,500 bytes" in last.reason


def test_a_file_that_grows_is_counted_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"line\n" * 100)
    file = OpenFile(Place(str(path), 500), 1 << 20)
    with path.open("ab") as more:
        more.write(b"line\n")
    (span,) = file.spans
    record = file.finish(span, summed(file, span, newlines._PlainBlock(64)))
    assert record is not None
    assert (record.status, record.newlines, record.bytes) == (Status.CHANGED, 100, 500)
    assert "grew" in record.reason


@pytest.mark.parametrize("way", ["native", "numpy", "neither"])
@given(text=TEXTS)
@settings(max_examples=50, deadline=None)
def test_newlines_in_bytes(way: str, text: bytes) -> None:
    data = text * 5000 if text.startswith(b"a") else text
    with pytest.MonkeyPatch.context() as patch:
        if way != "native":
            patch.setattr(newlines, "byte_counter", lambda: None)
        if way == "neither":
            patch.delitem(newlines.sys.modules, "numpy")
        assert newlines.newlines_in(data) == data.count(b"\n")
        assert newlines.newlines_in(memoryview(bytearray(data))) == data.count(b"\n")


@pytest.mark.parametrize("around", [1, 32 << 10, 2 << 20])
@pytest.mark.parametrize("native", [False, True])
def test_the_block_for_a_large_file(
    native: bool, around: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native:
        monkeypatch.setattr(newlines, "byte_counter", lambda: None)
    block = newlines.new_block(1 << 30)
    data = (b"line\n" * newlines.BLOCK)[: newlines.BLOCK]
    block.view[:] = data
    assert block.newlines(around - 1) == data.count(b"\n", 0, around - 1)
