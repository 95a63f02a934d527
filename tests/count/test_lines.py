"""`Lines` against the list of lines that `open` gives."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic.count import Lines, lineindex


@settings(deadline=None)
@given(
    text=st.lists(st.sampled_from(["\n", "\r\n", "a", "word", "\u00e9"]), max_size=40).map("".join),
    chunk=st.integers(1, 9),
    bounds=st.tuples(*[st.none() | st.integers(-9, 9)] * 2, st.sampled_from([None, 1, 2, -1, -3])),
)
def test_as_the_list_of_its_lines(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    chunk: int,
    bounds: tuple[int | None, int | None, int | None],
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(text.encode())
    with path.open(encoding="utf-8") as file:
        expected = list(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lineindex, "CHUNK", chunk)
        lineindex._indices.clear()
        lines = Lines(path)
        assert list(lines) == expected
        assert [lines[at] for at in range(-len(expected), len(expected))] == expected * 2
        assert list(lines[slice(*bounds)]) == expected[slice(*bounds)]
        part = lines[slice(*bounds)][::-1]
        assert [part[at] for at in range(len(part))] == expected[slice(*bounds)][::-1]
        assert list(Lines(path, encoding=None)) == text.encode().splitlines(keepends=True)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_text("".join(f"line {number}\n" for number in range(400_000)))
    return path


def test_a_large_file(large: Path) -> None:
    lines = Lines(large)
    assert (len(lines), lines[0], lines[-1]) == (400_000, "line 0\n", "line 399999\n")
    assert [lines[at] for at in range(0, 400_000, 7919)] == [
        f"line {at}\n" for at in range(0, 400_000, 7919)
    ]
    assert list(lines[123_456:123_459]) == [f"line {at}\n" for at in range(123_456, 123_459)]
    again = pickle.loads(pickle.dumps(lines[10:20]))
    assert list(again) == [f"line {at}\n" for at in range(10, 20)]


def test_samples(large: Path) -> None:
    lines = Lines(large)
    drawn = lines.sample(50, seed=3)
    assert drawn == lines.sample(50, seed=3) != lines.sample(50, seed=4)
    assert len(set(drawn)) == 50
    with pytest.raises(ValueError, match="larger than population"):
        lines[:3].sample(4)


def test_an_extended_file_is_counted_from_its_old_end(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Lines(large)
    starts: list[int] = []
    chunks = lineindex._chunks

    def watched(descriptor: int, start: int, stop: int) -> list[int]:
        starts.append(start)
        return chunks(descriptor, start, stop)

    monkeypatch.setattr(lineindex, "_chunks", watched)
    size = large.stat().st_size
    assert len(Lines(large)) == 400_000
    assert starts == []
    with large.open("a") as more:
        more.write("one more\nand a half")
    after = Lines(large)
    assert starts == [size // lineindex.CHUNK * lineindex.CHUNK]
    assert (len(after), after[400_000], after[-1]) == (400_002, "one more\n", "and a half")
    assert (len(before), list(before[-1:])) == (400_000, ["line 399999\n"])
    assert [after[at] for at in (0, 250_000, 399_999)] == [before[at] for at in (0, 250_000, -1)]


def test_a_rewritten_file_is_counted_anew(large: Path) -> None:
    Lines(large)
    large.write_text("other\n" * 2_000_000)
    assert len(Lines(large)) == 2_000_000


def test_a_file_that_was_cut_or_replaced_is_told(large: Path) -> None:
    lines = Lines(large)
    os.truncate(large, 100)
    with pytest.raises(OSError, match="make a new Lines"):
        lines[0]
    other = large.with_name("other")
    other.write_text("x\n" * 4_000_000)
    other.replace(large)
    with pytest.raises(OSError, match="make a new Lines"):
        list(lines)


def test_what_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert len(Lines(path)) == 0
    with pytest.raises(IndexError, match="line 0 of 0"):
        Lines(path)[0]
    path.write_bytes(gzip.compress(b"1\n"))
    with pytest.raises(ValueError, match="is gzip"):
        Lines(path)
    with pytest.raises(FileNotFoundError):
        Lines(tmp_path / "missing")
