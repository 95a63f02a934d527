"""What is shown around a cell's run, when it ends well, badly, or in the middle of being shown."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from mpmagic.run.context import CellContext
from mpmagic.run.observer import Observer
from mpmagic.run.options import LoopReport, Options
from mpmagic.run.wait import Inbox
from mpmagic.show import cellview
from mpmagic.show.bars import Bars
from mpmagic.show.cellview import CellView
from mpmagic.show.progress import Progress
from mpmagic.show.row import Row


class Place(Bars):
    """Notes what the bars become; the user presses the stop button meanwhile, if that is wanted."""

    def __init__(self) -> None:
        self.last: list[str] = []
        self.is_stopped = False

    def show(self, rows: Sequence[Row]) -> None:
        raise AssertionError("nothing has run")

    def become(self, last: object | None) -> bool:
        if self.is_stopped:
            os.kill(os.getpid(), signal.SIGINT)
        self.last.append(repr(last))
        return True


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place()
    monkeypatch.setattr(cellview, "bars_for", lambda shell: place)
    return place


def view(*, quiet: bool = False) -> tuple[CellView, CellContext]:
    """A view on a cell of which one loop has run."""
    cell = CellContext(
        namespace={},
        filename="<cell>",
        text="%%parallel",
        options=Options(),
        engine=lambda: pytest.fail("nothing is run"),
        workers=2,
        inbox=Inbox(),
    )
    cell.report.loops.append(LoopReport(2, iterations=5, wall=0.01, total=9))
    given = argparse.Namespace(quiet=quiet, timeline=False, profile=False)
    return CellView(SimpleNamespace(), cell, given), cell


def test_the_bars_become_the_summary(place: Place) -> None:
    shown, _ = view()
    with shown.shown():
        pass
    assert place.last == ["%%parallel: 5 iterations in 0.01 s on 2 workers"]


def test_they_say_where_a_cell_ended(place: Place) -> None:
    shown, _ = view()
    with pytest.raises(ValueError, match="of the cell"), shown.shown():
        raise ValueError("of the cell")
    assert place.last == [
        "%%parallel: ended by an error after 5 of 9 iterations of the loop in line 2, in 0.01 s"
    ]


def test_stopped_while_the_summary_is_shown(place: Place) -> None:
    place.is_stopped = True
    shown, cell = view()
    with pytest.raises(KeyboardInterrupt), shown.shown():
        pass
    assert len(place.last) == 1
    cell.inbox.raise_interrupt()  # none is left for the next cell


def test_stopped_twice_is_stopped_once(place: Place) -> None:
    place.is_stopped = True
    shown, cell = view()
    with pytest.raises(ValueError, match="of the cell"), shown.shown():
        raise ValueError("of the cell")
    assert len(place.last) == 1
    cell.inbox.raise_interrupt()


def test_quiet_is_observed_by_nobody(place: Place) -> None:
    shown, cell = view(quiet=True)
    assert type(cell.observer) is Observer
    assert cell.observer.pause is None
    with shown.shown():
        pass
    assert not place.last


def test_who_is_looked_at_is_told_of(place: Place) -> None:
    _, cell = view()
    assert cell.observer.pause == Progress.pause
    assert not cell.observer.samples
