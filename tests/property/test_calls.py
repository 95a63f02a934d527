"""Made-up cells without a loop: equal, refused, or an error that says what was lost."""

from __future__ import annotations

import random

import pytest

from tests.compare import Verdict, explained, judge
from tests.notebook import Notebook
from tests.property.calls import SETUP, make_calls


@pytest.mark.parametrize("block", range(6))
def test_random_calls(block: int, notebook: Notebook) -> None:
    for number in range(50):
        cell = make_calls(random.Random(block * 1000 + number))
        judgement = judge(notebook, cell, setup=SETUP)
        assert judgement.verdict is not Verdict.DIFFERENT, explained(judgement, cell)


def test_random_calls_on_the_pool(pool_notebook: Notebook) -> None:
    for number in range(40):
        cell = make_calls(random.Random(90_000 + number))
        judgement = judge(pool_notebook, cell, setup=SETUP, options="-n 2")
        assert judgement.verdict is not Verdict.DIFFERENT, explained(judgement, cell)


def test_most_cells_run_side_by_side(notebook: Notebook) -> None:
    """A grammar whose cells are all refused would prove nothing."""
    cells = [make_calls(random.Random(number)) for number in range(100)]
    found = [judge(notebook, cell, setup=SETUP) for cell in cells]
    equal = [j for j in found if j.verdict is Verdict.EQUAL]
    assert sum(j.parallel.report.split > 0 for j in equal) >= 50
