"""A loop whose work is shorter than its way back goes on in the kernel."""

from __future__ import annotations

import pytest

from mpmagic.run import brevity
from tests.notebook import Notebook

CELLS = {
    "numbers": "out = []\nfor x in range(3, 90, 2):\n    y = x * 2\n    out.append(y + 1)",
    "a list": "out = []\nfor x in list(range(50)):\n    y = abs(x)\n    out.append(y * 3)",
    "an else": "out = []\nfor x in range(50):\n    out.append(abs(x))\nelse:\n    z = len(out)",
    "a name that one iteration binds": (
        "out = []\nfor x in range(50):\n    if x == 1:\n        y = str(x)\n    out.append(abs(x))"
    ),
    "an error that the cell handles": (
        "out = []\ntry:\n    for x in range(200):\n        out.append(9 // (150 - x))\n"
        "except ZeroDivisionError as error:\n    z = str(error)"
    ),
}


@pytest.fixture(autouse=True)
def anything_is_brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first chunk that comes back send the loop to the kernel."""
    for name, value in (("_SECONDS", 100.0), ("_ITERATIONS", 1), ("_WORTH_IT", 1)):
        monkeypatch.setattr(brevity, name, value)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_it_leaves_what_the_serial_cell_leaves(notebook: Notebook, cell: str) -> None:
    serial = notebook.run("", cell)
    outcome = notebook.run("", f"%%parallel\n{cell}")
    assert {n: repr(v) for n, v in outcome.names.items()} == {
        n: repr(v) for n, v in serial.names.items()
    }
    (loop,) = outcome.report.loops
    assert loop.rest is not None
    assert loop.iterations < loop.done == len(outcome.names["out"]) + ("try" in cell)


def test_work_that_may_grow_stays_until_half_of_it_was_seen(notebook: Notebook) -> None:
    setup = "def slow(x):\n    return x * x"
    outcome = notebook.run(
        setup, "%%parallel\nout = []\nfor x in range(50):\n    out.append(slow(x))"
    )
    (loop,) = outcome.report.loops
    assert outcome.names["out"] == [x * x for x in range(50)]
    assert loop.iterations >= 25


@pytest.mark.parametrize("options", ("--chunk 2", "--seed 1", "--ahead"))
def test_options_that_say_where_work_runs_keep_it_there(notebook: Notebook, options: str) -> None:
    outcome = notebook.run("", f"%%parallel {options}\n{CELLS['numbers']}")
    (loop,) = outcome.report.loops
    assert loop.rest is None
