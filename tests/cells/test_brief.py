"""Cells that are too short for workers run as they are, as long as what they read is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mpmagic.run import brief
from tests.compare import compare
from tests.notebook import Notebook, Outcome

SETUP = """
import numpy as np
xs, settings, scale = [3, 1, 2], {"depth": 1}, np.arange(4.0)
def inner(x):
    return x * settings["depth"]
def f(x):
    return inner(x) + scale[x]
"""
CELL = """out = []
for x in xs:
    y = f(x)
    print(x)
    out.append(y)
len(out)"""


@pytest.fixture
def short(pool_notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook that has seen no cell, on a machine that is never too busy."""
    monkeypatch.setattr(brief, "_SECONDS", 60.0)
    monkeypatch.setattr(brief, "_LONG", 60.0)
    pool_notebook.magics._workforce._brief = None
    pool_notebook.magics.sends_all = False
    yield pool_notebook
    pool_notebook.magics.sends_all = True


def split(notebook: Notebook, setup: str = SETUP, cell: str = CELL, options: str = "") -> Outcome:
    outcome = notebook.run(setup, f"%%parallel -q {options}\n{cell}")
    assert outcome.report is not None, outcome.error
    return outcome


def test_the_third_time_it_runs_as_it_is(short: Notebook) -> None:
    serial = short.run(SETUP, CELL)
    for splits in (1, 1, 0, 0):
        outcome = split(short)
        assert outcome.report.split == splits
        assert not compare(serial, outcome, cell=CELL)
    assert "too short for workers" in outcome.report.serial


def test_the_user_is_told_once(short: Notebook) -> None:
    told = [split(short).report.told for _ in range(5)]
    assert told == [True, True, True, False, False]
    assert split(short, cell=f"{CELL}  # another").report.told


@pytest.mark.parametrize(
    "change",
    [
        "xs.append(0)",
        "settings['depth'] = 2",
        "scale[1] = 7",
        "def inner(x):\n    return x",
        "inner.__defaults__ = (1,)",
        "f = lambda x: x",
    ],
)
def test_with_other_values_it_is_sent(short: Notebook, change: str) -> None:
    for _ in range(3):
        split(short)
    setup = f"{SETUP}\n{change}"
    serial = short.run(setup, CELL)
    outcome = split(short, setup)
    assert outcome.report.split == 1
    assert not compare(serial, outcome, cell=CELL)
    assert split(short).report.split == 1  # what it read before is the last time's no more
    assert split(short).report.split == 0


@pytest.mark.parametrize("options", ["--chunk 1", "--ahead", "--seed 1", "--timeline"])
def test_what_is_asked_for_is_done(short: Notebook, options: str) -> None:
    for _ in range(4):
        assert split(short, options=options).report.split == 1


def test_work_that_takes_longer_is_sent(short: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "_SECONDS", 1e-9)
    for _ in range(4):
        assert split(short).report.split == 1


def test_what_cannot_be_told_is_sent(short: Notebook) -> None:
    setup = f"{SETUP}\nlock = __import__('threading').Lock()\nkept = []"
    cell = f"{CELL}\nwith lock:\n    kept.append(1)"
    for _ in range(4):
        assert split(short, setup, cell).report.split == 1


def test_of_values_that_are_others_each_time_it_looks_no_more(short: Notebook) -> None:
    for number in range(6):
        assert split(short, f"{SETUP}\nxs.append({number % 4})").report.split == 1
    assert split(short).report.split == 1
    assert split(short).report.split == 1


def test_one_that_takes_longer_now_is_planned_again(
    short: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for splits in (1, 1, 0):
        assert split(short).report.split == splits
    monkeypatch.setattr(brief, "_LONG", 1e-9)
    for splits in (0, 1, 1, 0):
        assert split(short).report.split == splits


def test_exceptions_are_those_of_the_cell(short: Notebook) -> None:
    cell = "out = []\nfor x in xs:\n    y = f(x)\n    out.append(y)\n1 / settings['zero']"
    setup = f"{SETUP}\nsettings['zero'] = 1"
    for splits in (1, 1, 0):
        assert split(short, setup, cell).report.split == splits
    setup = f"{SETUP}\nsettings['zero'] = 0"
    serial = short.run(setup, cell)
    assert not compare(serial, split(short, setup, cell), cell=cell)


def test_expressions(short: Notebook) -> None:
    for splits in (1, 1, 0):
        outcome = short.run(SETUP, "out = %parallel -q [f(x) for x in xs]")
        assert outcome.report.split == splits
        assert outcome.names["out"] == short.run(SETUP, "out = [f(x) for x in xs]").names["out"]
