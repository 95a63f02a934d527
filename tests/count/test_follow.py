"""Counting files that grow, are rotated, appear and vanish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from mpmagic.count import Counts, Status, count_lines
from mpmagic.count.asking import query_of
from mpmagic.count.follow import Follower, follow
from mpmagic.count.magic import mpcount
from mpmagic.count.tree import Selection


def new_follower(path: Path | str, **options: str) -> Follower:
    return Follower(path, query_of(**options), Selection())  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    parts=st.lists(st.lists(st.sampled_from(["a", "b", "\n"]), max_size=6).map("".join), max_size=6)
)
def test_what_was_seen_is_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "growing"
    path.write_text("")
    lines, matches = new_follower(path), new_follower(path, match="a")
    for part in parts:
        with path.open("a") as file:
            file.write(part)
        ended = path.read_text().rpartition("\n")
        assert lines.update() == count_lines(path)
        # A line is looked at when it has ended.
        assert matches.update() == sum("a" in line for line in ended[0].split("\n"))


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text("1\n2\n")
    follower = new_follower(path)
    assert follower.update() == 2
    # The same bytes again, as far as they were counted: what stands there now isn't looked at.
    with path.open("r+") as file:
        file.write("\n\n\n\n")
    with path.open("a") as file:
        file.write("3\n")
    assert follower.update() == 3


def test_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1\n2\n")
    follower = new_follower(path)
    follower.update()
    path.rename(tmp_path / "log.1")
    gone = follower.update()
    assert (gone, gone[path].status, gone[path].reason) == (2, Status.PARTIAL, "no such file")
    path.write_text("3\n")
    assert follower.update() == 3
    path.write_text("")
    follower.update()
    path.write_text("4\n")
    assert follower.update() == 4
    assert not follower.update().partial


def test_files_that_appear(tmp_path: Path) -> None:
    follower = new_follower(str(tmp_path / "*.log"))
    assert follower.update() == 0
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text("1\n")
    assert follower.update() == 2


def interrupting_after(rounds: int, between: Callable[[], None]) -> Callable[[Counts, float], None]:
    seen: list[int] = []

    def show(counts: Counts, rate: float) -> None:
        seen.append(counts)
        if len(seen) == rounds:
            raise KeyboardInterrupt
        between()

    return show


def test_until_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1\n")

    def more() -> None:
        with path.open("a") as file:
            file.write("x\ny\n")

    counts = follow(new_follower(path), interrupting_after(4, more), pause=0)
    assert counts == 1 + 2 * 3


def test_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    path.write_text("a1\nb\na2\n")

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    counts = mpcount(f"--follow --match a\\d --recursive {tmp_path}", InteractiveShell.instance())
    InteractiveShell.clear_instance()
    assert counts == 2
    assert "2 lines" in capsys.readouterr().err
