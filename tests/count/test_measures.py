"""Words, characters, longest and blank lines, records: against `wc`, `str` and `csv`."""

from __future__ import annotations

import csv
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic.count import count_lines, wholelines
from mpmagic.count.counter import new_counter
from mpmagic.count.openfile import OpenFile
from mpmagic.count.places import Place
from mpmagic.count.query import Query
from mpmagic.count.record import FileCount
from mpmagic.count.scan import SpanReader, Watch
from mpmagic.count.tally import Tally

PARTS = [
    "\n",
    "\r\n",
    "a",
    "word",
    " ",
    "\t",
    "\u00e9",
    "\u65e5\u672c",
    "\U0001f600",
    "\v\f",
    "\n\n",
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=60).map("".join)
ALL = ("words", "chars", "longest", "blank", "records")


def in_pieces(path: Path, piece: int, query: Query) -> FileCount:
    """Count a file in spans that end wherever they happen to."""
    file = OpenFile(Place(str(path), path.stat().st_size), piece, holes=False)
    record = file.close() if not file.spans else None
    for span in reversed(file.spans):
        tally = Tally()
        cut = wholelines.aligned(file.descriptor, span, file.size)
        new_counter(query, 0).count(SpanReader(file.descriptor, cut, Watch()), tally)
        record = file.finish(span, tally)
    assert record is not None
    return record


@settings(deadline=None)
@given(text=TEXTS, piece=st.integers(1, 30))
def test_columns(tmp_path_factory: pytest.TempPathFactory, text: str, piece: int) -> None:
    path, data = tmp_path_factory.getbasetemp() / "measured", text.encode()
    path.write_bytes(data)
    record = in_pieces(path, piece, Query(ALL))
    lines = io.BytesIO(data).readlines()
    bare = [
        line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line
        for line in lines
    ]
    assert record.lines == len(lines)
    assert record.words == len(data.split())
    assert record.chars == len(text)
    assert record.longest == max((len(line.decode()) for line in bare), default=0)
    assert record.blank == sum(not line.strip() for line in lines)
    whole = count_lines(path, columns=ALL)[path]
    assert whole == record


@settings(deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('a,"\n\r '), max_size=5), min_size=1, max_size=3),
        max_size=8,
    ),
    piece=st.integers(1, 30),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_records(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], piece: int, end: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "records.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator=end).writerows(rows)
    assert in_pieces(path, piece, Query(("records",))).records == len(rows)


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_text('a,b\n1,"2\n3\n')
    with path.open(newline="") as file:
        assert count_lines(path, columns=["records"]).total("records") == len(
            list(csv.reader(file))
        )


@pytest.fixture(scope="module")
def prose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prose") / "prose.txt"
    words = ["some", "words", "of   different", "length", "\n", "\n\n", "\u00fcber"]
    path.write_text(" ".join(words[(n * n) % 7] for n in range(2_500_000)))
    return path


@pytest.mark.parametrize(
    ("column", "flag"), [("words", "-w"), ("chars", "-m"), ("bytes", "-c"), ("longest", "-L")]
)
def test_against_wc(prose: Path, column: str, flag: str) -> None:
    environ = os.environ | {"LC_ALL": "C.UTF-8"}
    out = subprocess.run(
        ["wc", flag, prose], capture_output=True, text=True, check=True, env=environ
    )
    counts = count_lines(prose, columns=[column], threads=3)
    assert counts.total(column) == int(out.stdout.split()[0])
    assert prose.stat().st_size > 8 << 20


def test_a_line_longer_than_every_buffer(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"short\n" + b"x y" * (4 << 20) + b"\nshort\n")
    record = count_lines(path, columns=["longest", "words"], threads=4)[path]
    assert (record.lines, record.longest, record.words) == (3, 12 << 20, 2 + (4 << 20) + 1)


def test_an_unknown_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'verbs'; there are words, chars"):
        count_lines(tmp_path, columns=["verbs"])


def test_columns_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("two words\n" * 1234)
    head, row = count_lines(path, columns=["words", "bytes"]).table().splitlines()
    assert head.split() == ["lines", "words", "bytes", "file"]
    assert row.split() == ["1,234", "2,468", "12,340", str(path)]


def test_blocks_of_whole_lines() -> None:
    data = b"a\nbb\n\nccccccccccc\ndd"

    def blocks(room: int) -> Iterator[bytes]:
        for block in wholelines.whole_lines(io.BytesIO(data), room):
            yield bytes(block)

    for room in range(1, 30):
        found = list(blocks(room))
        assert b"".join(found) == data
        assert all(block.endswith(b"\n") for block in found[:-1])


def test_a_line_longer_than_memory_should_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wholelines, "_LONGEST", 8 << 20)
    path, good = tmp_path / "sparse", tmp_path / "good"
    path.write_bytes(b"one two\n")
    os.truncate(path, 64 << 20)
    good.write_bytes(b"three\n")
    counts = count_lines([path, good], columns=["words"])
    assert "a line of more than" in counts.errors[str(path)]
    assert counts[good].words == 1
    assert count_lines(path) == 2
