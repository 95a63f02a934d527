"""What has no size: bytes, open files, remote files, compressed pipes."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from mpmagic.count import Status, count_lines


def test_bytes_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1\n2\n3")
    with path.open("rb") as file:
        file.readline()
        counts = count_lines([file, b"a\nb", path, io.BytesIO(b"\n" * 9), bytearray(b"")])
        assert not file.closed
    assert counts == 2 + 2 + 3 + 9
    assert list(counts) == [f"<{path}>", "<bytes 1>", str(path), "<file 3>", "<bytes 4>"]
    assert count_lines(b"") == 0
    assert count_lines(io.BytesIO(gzip.compress(b"1\n2\n"))) == 2
    assert count_lines(gzip.compress(b"1\n2\n"), raw=True).bytes == len(gzip.compress(b"1\n2\n"))


def test_a_large_one_with_every_kind_of_query() -> None:
    data = b"some words here\n" * 400_000
    counts = count_lines(data, columns=["words"], match="w.rds")
    assert (counts, counts.total("words")) == (400_000, 1_200_000)
    assert count_lines(io.BytesIO(data)) == 400_000


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        count_lines(io.StringIO("1\n"))


def test_damaged_content_is_a_row() -> None:
    whole = gzip.compress(b"some line\n" * 100_000)
    counts = count_lines([whole[:-20], b"1\n"])
    assert counts["<bytes 0>"].status is not Status.COUNTED
    assert counts["<bytes 1>"].lines == 1


def test_remote_files() -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe("/logs/a.log", b"1\n2\n")
    files.pipe("/logs/b.log.gz", gzip.compress(b"1\n2\n3\n"))
    counts = count_lines(
        ["memory://logs/*", "memory:///logs/a.log", "memory://missing", "nothing://x"]
    )
    assert counts == 5
    assert counts["memory:///logs/b.log.gz"].lines == 3
    assert counts.errors["memory://missing"] == "no such file"
    assert "nothing" in counts.errors["nothing://x"]


def test_without_fsspec_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(OSError, match="pip install fsspec"):
        count_lines("memory://x")
