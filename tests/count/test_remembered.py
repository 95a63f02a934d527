"""A second count of a file that has only grown reads what is new; of any other, all."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mpmagic.count import Status, count_lines
from mpmagic.count.newlines import BLOCK

SIZE = 3 * BLOCK


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file of a few blocks, whose last line has its newline."""
    path = tmp_path / "some.log"
    path.write_bytes(lines(1, SIZE))
    settle(path)
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The stretches that were read."""
    from mpmagic.count.agenda import Agenda

    spans: list[tuple[int, int]] = []
    work = Agenda.work

    def noting(agenda: Agenda, unit: object, setting: object) -> None:
        spans.append(unit.span)  # type: ignore[attr-defined]
        work(agenda, unit, setting)  # type: ignore[arg-type]

    monkeypatch.setattr(Agenda, "work", noting)
    return spans


def lines(seed: int, size: int) -> bytes:
    draw = random.Random(seed)
    made = b"\n".join(b"%d" % draw.randrange(10**9) for _ in range(size // 10))
    return made[: size - 1] + b"\n"


def settle(path: Path) -> None:
    """Date it back: a file that was changed just now may change again unseen."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns - 60 * 10**9))


def truth(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    ends = content.count(b"\n")
    return ends + (not content.endswith(b"\n")), ends


def check(path: Path) -> None:
    counts = count_lines(path)
    assert (int(counts), counts.newlines) == truth(path)
    assert counts[str(path)].bytes == path.stat().st_size
    assert counts[str(path)].status is Status.COUNTED


def test_what_is_new_is_read(log: Path, read: list[tuple[int, int]]) -> None:
    check(log)
    for new in (b"more\n", b"no newline", b" yet\n\n", lines(2, BLOCK)):
        before = log.stat().st_size
        with log.open("ab") as file:
            file.write(new)
        read.clear()
        check(log)
        assert sorted(read)[0][0] == before
        assert sum(stop - start for start, stop in read) == len(new)


def test_nothing_is_read_again(log: Path, read: list[tuple[int, int]]) -> None:
    check(log)
    read.clear()
    check(log)
    assert read == []


def test_fresh_reads_all(log: Path, read: list[tuple[int, int]]) -> None:
    check(log)
    read.clear()
    assert count_lines(log, fresh=True) == truth(log)[0]
    assert sum(stop - start for start, stop in read) == log.stat().st_size


def replaced(path: Path) -> None:
    path.unlink()
    path.write_bytes(lines(3, SIZE + 100))


def rewritten(path: Path) -> None:
    path.write_bytes(lines(4, SIZE + 100))


def shortened(path: Path) -> None:
    os.truncate(path, SIZE // 2)


def emptied_and_filled(path: Path) -> None:
    path.write_bytes(b"")
    path.write_bytes(lines(5, SIZE))


def with_a_line_in_the_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: SIZE // 2] + b"\ninserted\n" + content[SIZE // 2 :])


def changed_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"\n\n\n\n")


@pytest.mark.parametrize(
    "change",
    [replaced, rewritten, shortened, emptied_and_filled, with_a_line_in_the_middle,
     changed_in_place],
)  # fmt: skip
def test_another_file_is_read_anew(log: Path, change: Callable[[Path], None]) -> None:
    check(log)
    change(log)
    check(log)


def test_a_hole_behind_is_no_line(log: Path) -> None:
    check(log)
    os.truncate(log, SIZE + 5 * BLOCK)
    check(log)


def test_other_counts_know_nothing_of_it(log: Path) -> None:
    check(log)
    with log.open("ab") as file:
        file.write(b"three more words\n")
    counts = count_lines(log, columns=["words"])
    assert counts[str(log)].words == len(log.read_bytes().split())
