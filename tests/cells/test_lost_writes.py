"""What a lost write leaves behind: nothing, so that the same cell run again says the same."""

from __future__ import annotations

import pytest

from tests.compare import Judgement, Verdict, judge
from tests.notebook import Notebook

SETUP = """
nested = [[0], "x" * 100_000]
def touch(i):
    getattr(nested[0], "__setitem__")(0, i)
    return nested[0][0]
"""
LOOP = """
sizes = []
for i in range(8):
    sizes.append(touch(i) if i == 3 else i)
"""
READS = """
sizes = []
for i in range(4):
    sizes.append(i + nested[0][0])
"""


@pytest.mark.parametrize("engine", ["notebook", "pool_notebook"])
def test_run_again(engine: str, request: pytest.FixtureRequest) -> None:
    notebook: Notebook = request.getfixturevalue(engine)
    first, second = (judge(notebook, LOOP, setup=SETUP, options="--chunk 2") for _ in range(2))
    assert (first.verdict, second.verdict) == (Verdict.ERROR, Verdict.ERROR)
    assert "changed `nested`" in _message(first)
    assert _message(second) == _message(first)


def test_others_read_what_the_notebook_has(pool_notebook: Notebook) -> None:
    judge(pool_notebook, LOOP, setup=SETUP)
    assert judge(pool_notebook, READS, setup=SETUP).verdict is Verdict.EQUAL


def _message(judgement: Judgement) -> str:
    return str(judgement.parallel.error)


HANDLED = """
tries = 0
while tries < 3:
    tries += 1
    try:
        for i in range(4):
            kept.append(touch(i) if i == 2 else i)
    except {handler}:
        kept.append("caught")
after = 1
"""


@pytest.mark.parametrize("handler", ["Exception", "BaseException"])
@pytest.mark.parametrize("engine", ["notebook", "pool_notebook"])
def test_the_cells_own_handlers_do_not_get_it(
    engine: str, handler: str, request: pytest.FixtureRequest
) -> None:
    """The serial cell raises nothing: what a handler made of it would be another result."""
    notebook: Notebook = request.getfixturevalue(engine)
    cell = HANDLED.format(handler=handler)
    outcome = judge(notebook, cell, setup=SETUP + "kept = []", options="--chunk 1").parallel
    assert "changed `nested`" in str(outcome.error)
    assert ("caught" in outcome.names["kept"]) is (handler == "BaseException")


STORES = """
import operator
import numpy as np
big, out = np.zeros(1 << 20), []
def store(value):
    return operator.methodcaller("__setitem__", 700_000, value)
harmless, harmful = store(0.0), store(1.0)
"""


@pytest.mark.parametrize(
    ("call", "verdict"), [("harmless", Verdict.EQUAL), ("harmful", Verdict.ERROR)]
)
def test_a_loop_that_stores_into_what_it_captures(
    pool_notebook: Notebook, call: str, verdict: Verdict
) -> None:
    cell = f"for x in range(8):\n    y = {call}(big) if x > 4 else 0\n    out.append((y, big[x]))"
    judgement = judge(pool_notebook, cell, setup=STORES)
    assert judgement.verdict is verdict, judgement.why
    if verdict is Verdict.ERROR:
        assert "changed `big`" in str(judgement.parallel.error)
