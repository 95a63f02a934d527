"""Made-up cells that draw: their figures look the same, or the cell is refused."""

from __future__ import annotations

import random

import pytest

from tests.compare import Verdict
from tests.notebook import Notebook
from tests.property.drawing import make_drawing
from tests.property.trial import Trial, described, try_cell


def tried(notebook: Notebook, number: int) -> Trial:
    cell = make_drawing(random.Random(number))
    trial = try_cell(notebook, cell)
    assert trial.verdict is not Verdict.DIFFERENT, described(cell, trial)
    return trial


@pytest.mark.parametrize("block", range(2))
def test_random_drawing(block: int, notebook: Notebook) -> None:
    trials = [tried(notebook, block * 1000 + number) for number in range(25)]
    assert sum(trial.split > 0 for trial in trials) >= 15


def test_random_drawing_on_the_pool(pool_notebook: Notebook) -> None:
    for number in range(8):
        tried(pool_notebook, 90_000 + number)
