"""Draws that are made ahead and warn: the warning comes where the serial cell shows it."""

from __future__ import annotations

import sys
import warnings

import pytest

from mpmagic.run.warned import warnings_aside
from tests.compare import Verdict, explained, judge
from tests.notebook import Notebook

SETUP = """
import random, warnings
random.seed(3)
xs, out = [float(i) for i in range(8)], []
def f(x):
    return x
"""

CELL = """
warnings.simplefilter({how!r})
for x in xs:
    print(x)
    t = random.randint(0, 3 + x)
    out.append(f(t))
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on such a draw raises")
@pytest.mark.parametrize("how", ["default", "always", "error", "ignore"])
@pytest.mark.parametrize("options", ["--chunk 1", "--chunk 3"])
def test_the_warning_comes_with_the_commit(notebook: Notebook, how: str, options: str) -> None:
    cell = CELL.lstrip().format(how=how)
    judgement = judge(notebook, cell, setup=SETUP, options=options)
    assert judgement.verdict is Verdict.EQUAL, explained(judgement, cell)


def test_warnings_aside_leave_no_trace() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for _ in range(2):
            with warnings_aside() as aside:
                _warn()
            assert len(aside) == 1, "it counts as not shown"
        for _ in range(2):
            _warn()
            with warnings_aside() as aside:
                _warn()
            assert not aside, "what has been shown isn't issued again"
    assert len(shown) == 1


def _warn() -> None:
    warnings.warn("look", UserWarning, stacklevel=1)
