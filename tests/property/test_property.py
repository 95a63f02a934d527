"""Made-up cells, a few hundred of them: equal, refused, or an error that says what was lost."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.compare import Verdict
from tests.notebook import Notebook
from tests.property.grammar import Cell, make_cell
from tests.property.trial import described, smallest, try_cell

cells = st.randoms(use_true_random=False, note_method_calls=False).map(make_cell)


@seed(20)
@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        # A cell of too many choices is passed over here; `test_random_cells` has such cells.
        HealthCheck.data_too_large,
    ],
)
@given(cell=cells)
def test_steered_cells(cell: Cell, notebook: Notebook) -> None:
    """Hypothesis chooses, and shrinks what it finds."""
    trial = try_cell(notebook, cell)
    assert trial.verdict is not Verdict.DIFFERENT, described(cell, trial)


@pytest.mark.parametrize("block", range(6))
def test_random_cells(block: int, notebook: Notebook) -> None:
    """Chance chooses: other shapes than hypothesis, which likes its choices small."""
    for number in range(50):
        cell = make_cell(random.Random(block * 1000 + number))
        trial = try_cell(notebook, cell)
        if trial.verdict is Verdict.DIFFERENT:
            pytest.fail(smallest(notebook, cell, trial))


def test_grammar_makes_cells_that_split(notebook: Notebook) -> None:
    """A grammar whose cells are all refused would prove nothing."""
    trials = [try_cell(notebook, make_cell(random.Random(number))) for number in range(100)]
    assert sum(trial.split > 0 for trial in trials) >= 20
