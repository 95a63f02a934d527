"""Bars: when they come, what they say, and that they make way."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from mpmagic.run.observer import Committed, Span, Standing, Straggler
from mpmagic.show.bars import Bars, Picture, TerminalBar
from mpmagic.show.progress import Progress
from mpmagic.show.quantities import duration
from mpmagic.show.row import Row
from tests.show.events import START, begun


class Shown(Bars):
    """Notes what is shown, and when it's hidden."""

    def __init__(self, *, in_the_way: bool = False) -> None:
        self.in_the_way = in_the_way
        self.log: list[str] = []

    def show(self, rows: Sequence[Row]) -> None:
        self.log.append("; ".join(map(str, rows)))

    def hide(self) -> None:
        self.log.append("hidden")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def asked(done: int, straggler: Straggler | None = None) -> Standing:
    return Standing(done, straggler)


def test_nothing_comes_in_the_first_second_and_then_some_a_second() -> None:
    bars, clock = Shown(), Clock()
    progress = Progress(bars, clock)
    progress.begun(begun())
    for step in range(1, 301):
        clock.now = START + step / 100
        progress.tick(3, lambda step=step: asked(step // 10))  # type: ignore[misc]
        if step < 100:
            assert not bars.log
    assert 9 <= len(bars.log) <= 11
    assert bars.log[0].startswith("line 3: 10 of 40 iterations, 25%, 3.0 s left, 10/s")


def test_a_length_that_is_unknown_gives_a_rate() -> None:
    row = Row(begun(None), START)
    row.look(Standing(300), START + 10)
    assert str(row) == "line 3: 300 iterations, 30/s, 10 s"
    assert 'role="progressbar"' not in Picture([row])._repr_html_()


def test_the_lines_of_a_file_have_a_share_without_a_length() -> None:
    row = Row(begun(None), START)
    row.look(Standing(300, share=0.456), START + 10)
    assert str(row) == "line 3: 300 iterations, 45% of the file, 30/s, 10 s"
    assert 'aria-valuenow="45.6"' in Picture([row])._repr_html_()


def test_before_the_first_is_done_the_time_is_shown() -> None:
    row = Row(begun(), START)
    row.look(asked(0), START + 3)
    assert str(row) == "line 3: 0 of 40 iterations, 0%, 3.0 s"


def test_durations_are_said_as_people_do() -> None:
    told = {0: "0 s", 0.0012: "1.2 ms", 0.25: "0.25 s", 2.34: "2.3 s", 9.96: "10 s",
            59.6: "1 min 0 s", 200: "3 min 20 s", 7500: "2 h 5 min"}  # fmt: skip
    assert {seconds: duration(seconds) for seconds in told} == told


def test_what_holds_up_the_end_is_named_instead_of_a_guess() -> None:
    row = Row(begun(), START)
    row.look(asked(39, Straggler("iteration 17", 12.0)), START + 20)
    assert str(row) == "line 3: 39 of 40 iterations, 97%, iteration 17 has run for 12 s so far"
    assert "iteration 17" in Picture([row])._repr_html_()


def test_an_ended_loop_has_what_was_committed() -> None:
    bars, clock = Shown(), Clock()
    progress = Progress(bars, clock)
    progress.begun(begun())
    clock.now = START + 2
    progress.tick(3, lambda: asked(20))
    progress.committed(Committed(3, Span(0, 15), START + 2, START + 2))
    progress.ended(3, START + 3)
    assert bars.log[-1] == "line 3: 15 iterations, 3.0 s"


def test_loops_of_a_cell_stand_below_each_other_and_passes_are_counted() -> None:
    bars, clock = Shown(), Clock()
    progress = Progress(bars, clock)
    for line in (3, 5, 5):
        progress.begun(begun(line=line))
        clock.now += 2
        progress.tick(line, lambda: asked(20))
        progress.ended(line, clock.now)
    first, second = bars.log[-1].split("; ")
    assert first.startswith("line 3: ")
    assert second.startswith("line 5, pass 2: ")


def test_no_bar_appears_only_to_say_that_it_is_over() -> None:
    bars, clock = Shown(), Clock()
    progress = Progress(bars, clock)
    progress.begun(begun())
    clock.now = START + 1.5
    progress.tick(3, lambda: asked(40))
    progress.ended(3, START + 1.5)
    assert not bars.log


def test_a_bar_of_the_cells_own_is_enough() -> None:
    bars, clock = Shown(), Clock()
    progress = Progress(bars, clock)
    progress.begun(begun()._replace(has_bar=True))
    clock.now = START + 5
    progress.tick(3, lambda: asked(10))
    progress.ended(3, START + 6)
    assert not bars.log


def test_a_bar_in_the_way_makes_way_once_and_comes_back_soon() -> None:
    bars, clock = Shown(in_the_way=True), Clock()
    progress = Progress(bars, clock)
    progress.begun(begun())
    clock.now = START + 2
    progress.tick(3, lambda: asked(10))
    progress.make_way()
    progress.make_way()
    clock.now += 0.03
    progress.tick(3, lambda: asked(11))
    progress.ended(3, clock.now)
    assert [entry == "hidden" for entry in bars.log] == [False, True, False, True]


def test_the_terminal_line_is_tqdms_and_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    bar, row = TerminalBar(stream), Row(begun(), START)
    row.look(asked(10), START + 2)
    bar.show([row])
    row.look(asked(20), START + 4)
    bar.show([row])
    bar.hide()
    stream.seek(0)
    first, second, blank, end = stream.read().split("\r")[1:]
    assert "25%" in first and "10/40 [00:02<00:06,  5.00it/s]" in first
    assert "50%" in second and len(second) >= len(first.rstrip())
    assert not blank.strip() and len(blank) >= len(second.rstrip())
    assert end == ""


def test_html_shows_the_share() -> None:
    row = Row(begun(), START)
    row.look(asked(10), START + 2)
    html = Picture([row])._repr_html_()
    assert "width:25.0%" in html
    assert 'aria-valuenow="25.0"' in html
    assert "10 of 40 iterations" in html
