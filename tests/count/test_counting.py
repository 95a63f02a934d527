"""`count_lines` on files, against `wc` and Python's iteration; and what can't be counted."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mpmagic.count import Counts, Status, count_lines
from mpmagic.count.engine import Engine
from mpmagic.count.places import expand
from mpmagic.count.query import Query


def wc(*paths: Path) -> int:
    out = subprocess.run(["wc", "-l", *map(str, paths)], capture_output=True, text=True, check=True)
    return int(out.stdout.splitlines()[-1].split()[0])


def iterated(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 MB of lines of any length, the last one without newline."""
    path = tmp_path_factory.mktemp("large") / "large.log"
    draw = random.Random(7)
    lines = [b"x" * draw.choice((0, 1, 9, 80, 4000)) for _ in range(25_000)]
    path.write_bytes(b"\n".join(lines) + b"\nend")
    return path


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the superuser's right to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_a_large_file(large: Path, threads: int | None) -> None:
    counts = count_lines(large, threads=threads)
    assert counts == iterated(large)
    assert counts.newlines == wc(large) == counts - 1
    assert counts.bytes == large.stat().st_size
    assert not counts.partial


def test_no_thread_stays(large: Path) -> None:
    before = threading.enumerate()
    count_lines(large, threads=4)
    assert threading.enumerate() == before


@pytest.mark.parametrize(
    ("content", "lines", "newlines"),
    [
        (b"", 0, 0),
        (b"\n", 1, 1),
        (b"no end", 1, 0),
        (b"a\nb", 2, 1),
        (b"a\r\nb\r\n", 2, 2),
        (b"lone\rreturns\r", 1, 0),
        (b"\0\0\n\0", 2, 1),
    ],
)
def test_what_a_line_is(tmp_path: Path, content: bytes, lines: int, newlines: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    counts = count_lines(path)
    assert (counts, counts.newlines, counts.bytes) == (lines, newlines, len(content))
    assert counts == iterated(path)


def test_many_small_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(300)]
    for number, path in enumerate(paths):
        path.write_bytes(b"line\n" * number)
    counts = count_lines(str(tmp_path / "*.txt"))
    assert counts == wc(*paths) == sum(range(300))
    assert {path: record.lines for path, record in counts.items()} == {
        str(path): number for number, path in enumerate(paths)
    }


def test_many_middling_files_on_threads(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(90)]
    for number, path in enumerate(paths):
        path.write_bytes(b"a line of text\n" * (10_000 + number))
    assert count_lines(paths, threads=3) == wc(*paths)


def test_order_is_the_one_named(tmp_path: Path) -> None:
    names = ["b", "a", "c"]
    for name in names:
        (tmp_path / name).write_text("x\n")
    counts = count_lines([tmp_path / name for name in names])
    assert [Path(path).name for path in counts] == names


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1\n2\n")
    assert count_lines([path, str(path), str(tmp_path / "*")]) == 2


def test_one_bad_file_leaves_the_others(tmp_path: Path) -> None:
    good, locked, gone = tmp_path / "good", tmp_path / "locked", tmp_path / "gone"
    tmp_path.chmod(0o755)
    for path in (good, locked):
        path.write_text("1\n2\n")
    locked.chmod(0)
    bound = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bound))
        counts = count_lines([good, gone, tmp_path, bound, "/dev/zero", tmp_path / "nul\0"])
    assert counts == 2
    assert counts.partial
    assert counts.errors == {
        str(gone): "no such file",
        str(tmp_path): "a directory (count what is in it with -r)",
        str(bound): "a socket, not a file",
        "/dev/zero": "a device, not a file",
        str(tmp_path / "nul\0"): "a name with a nul",
    }
    assert counts[good].status is Status.COUNTED
    assert counts[gone].status is Status.FAILED
    assert isinstance(counts[gone].error, FileNotFoundError)


def test_a_file_without_permission(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "popen-", tmp_path.name)):
            folder.chmod(0o755)
    good, locked = tmp_path / "good", tmp_path / "locked"
    for path in (good, locked):
        path.write_text("1\n2\n")
    locked.chmod(0)
    with as_nobody():
        counts = count_lines([good, locked])
        with pytest.raises(PermissionError, match="locked"):
            count_lines(locked)
    assert counts == 2
    assert counts.errors == {str(locked): "permission denied"}


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        count_lines(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match=r"no file matches.*\*\.log"):
        count_lines(str(tmp_path / "*.log"))
    with pytest.raises(IsADirectoryError, match=str(tmp_path)) as caught:
        count_lines([tmp_path, tmp_path / "missing"])
    assert caught.value.__notes__ == [f"{tmp_path / 'missing'}: no such file"]
    assert "-r" in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here fails when read")
def test_an_error_of_reading_names_the_file() -> None:
    with pytest.raises(OSError, match="/proc/self/mem"):
        count_lines("/proc/self/mem")


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match="a str, a Path, bytes or an open file, not int: 3"):
        count_lines([3])  # type: ignore[list-item]


def test_empty_and_made_up_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert count_lines([empty, os.devnull]) == 0
    if Path("/proc/self/limits").exists():
        assert count_lines("/proc/self/limits") == iterated(Path("/proc/self/limits"))
        counts = count_lines([empty, "/proc/self/mem"])
        assert counts["/proc/self/mem"].reason == os.strerror(errno.EIO).lower()


def test_files_that_change_after_they_were_found(tmp_path: Path) -> None:
    names = ["same", "gone", "shorter", "longer", "emptied"]
    for name in names:
        (tmp_path / name).write_bytes(b"line\n" * 10)
    places = expand([tmp_path / name for name in names])
    (tmp_path / "gone").unlink()
    os.truncate(tmp_path / "shorter", 20)
    os.truncate(tmp_path / "emptied", 0)
    with (tmp_path / "longer").open("ab") as more:
        more.write(b"line\n")
    engine = Engine(places, Query())
    engine.run()
    records = {Path(path).name: record for path, record in engine.agenda.records.items()}
    assert {name: (record.lines, record.status) for name, record in records.items()} == {
        "same": (10, Status.COUNTED),
        "gone": (0, Status.FAILED),
        "shorter": (4, Status.PARTIAL),
        "longer": (11, Status.COUNTED),
        "emptied": (0, Status.PARTIAL),
    }
    assert "shrank from 50 to 20 bytes" in records["shorter"].reason


def test_a_file_cut_and_filled_again_and_again(tmp_path: Path) -> None:
    """No crash, no hang, and never more lines than the file has ever held."""
    path, stop = tmp_path / "restless", threading.Event()
    size = 12 << 20
    path.write_bytes(b"line...\n" * (size // 8))

    def disturb() -> None:
        while not stop.is_set():
            os.truncate(path, 100)
            os.truncate(path, size)

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(20):
            counts = count_lines(path, threads=2)
            assert counts <= size // 8
            assert counts.bytes <= size
            assert counts.bytes == size or counts.partial or counts[path].bytes < size
    finally:
        stop.set()
        other.join()


def test_a_file_cut_while_its_holes_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seek = tmp_path / "cut", os.lseek
    with path.open("wb") as file:
        file.seek(32 << 20)
        file.write(b"line...\n" * 1000)

    def cut(descriptor: int, offset: int, whence: int) -> int:
        if whence == os.SEEK_HOLE:
            os.truncate(path, 100)
        return seek(descriptor, offset, whence)

    monkeypatch.setattr(os, "lseek", cut)
    counts = count_lines(path)
    assert counts == 0
    assert counts.partial
    assert "shrank" in str(counts[path])


class TestPipes:
    def test_a_pipe_is_counted_to_its_end(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

        def write() -> None:
            with pipe.open("wb") as out:
                opened.set()
                for _ in range(1000):
                    out.write(b"a line through a pipe\n" * 100)

        opened = threading.Event()
        writer = threading.Thread(target=write)
        writer.start()
        assert opened.wait(30)
        try:
            assert count_lines(pipe) == 100_000
        finally:
            os.close(reader)
            writer.join()

    def test_without_a_writer_it_is_a_row_not_a_hang(self, tmp_path: Path) -> None:
        pipe, file = tmp_path / "pipe", tmp_path / "file"
        os.mkfifo(pipe)
        file.write_text("1\n")
        counts = count_lines([pipe, file])
        assert counts == 1
        assert counts.errors == {str(pipe): "a pipe that nobody writes to"}


def test_result_is_a_number_and_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("1\n2\n3")
    counts = count_lines(path)
    assert isinstance(counts, Counts)
    assert counts + 1 == 4
    assert f"{counts:03d} {counts}" == "003 3"
    assert counts[path] is counts[str(path)] is next(iter(counts.values()))
