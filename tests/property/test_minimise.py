"""Counterexamples made small: by steps that end, also where a cut cell doesn't."""

from __future__ import annotations

import pytest

from tests.notebook import Notebook
from tests.property import trial
from tests.property.grammar import Cell
from tests.property.limit import OutOfTime, limited
from tests.property.minimise import minimised
from tests.property.trial import is_different

COUNTDOWN = "todo = 2\nwhile todo:\n    for x in xs:\n        out.append(x)\n    todo -= 1\n"
ENDLESS = (
    COUNTDOWN.replace("todo -= 1", "pass"),
    "for x in xs:\n    while x < 9:\n        y = x + 1\n    out.append(y)\n",
)
SETUP = "xs, out = [1, 2], []\nbuf = io.StringIO()\n"


def test_limit_ends_what_would_go_on() -> None:
    with pytest.raises(OutOfTime), limited(0.05):
        while True:
            pass


def test_limit_comes_again() -> None:
    """What catches the first interrupt meets another, and the end of the block tells."""
    caught = 0
    with pytest.raises(OutOfTime), limited(0.05):
        while caught < 2:
            try:
                while True:
                    pass
            except KeyboardInterrupt:
                caught += 1
    assert caught == 2


def test_interrupt_that_nothing_can_catch_is_followed_by_one_that_ends() -> None:
    """The first lands in a finaliser, which swallows it."""
    with pytest.raises(OutOfTime), limited(0.05):
        _Finalised()
        while True:
            pass


class _Finalised:
    def __del__(self) -> None:
        while True:
            pass


def test_limit_lets_what_is_quick_be() -> None:
    with limited(60):
        done = True
    assert done


@pytest.mark.parametrize("source", ENDLESS, ids=["around the loop", "in the work"])
def test_endless_candidate_is_no_counterexample(
    source: str, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LIMIT", 0.2)
    cell = Cell(source, "import io\n" + SETUP)
    assert not is_different(notebook, cell)
    assert notebook.run("", "1 + 1").outputs == {1: 2}, "the notebook is still usable"


def test_decrement_of_a_loop_stays(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is made smaller past the candidates that never end."""
    monkeypatch.setattr(trial, "LIMIT", 0.2)

    def fails(candidate: Cell) -> bool:
        try:
            with limited(trial.LIMIT):
                outcome = notebook.run(candidate.setup, candidate.source)
        except (AssertionError, OutOfTime):
            return False
        return outcome.names.get("out") == [1, 2, 1, 2]

    small = minimised(Cell("z = 1\n" + COUNTDOWN, "import io\n" + SETUP), fails)
    assert "z" not in small.source
    assert "todo -= 1" in small.source
