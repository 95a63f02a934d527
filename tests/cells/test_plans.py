"""A cell that is the same, on what is the same, isn't planned again; what it gives is the same."""

from __future__ import annotations

import gc
import math
import re
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from mpmagic.cell import plan
from mpmagic.errors import NotParallel
from tests.notebook import Notebook

SETUP = """
import functools, math, threading
import numpy as np
seen, table, scale = [], [1, 2, 3], 2
def inner(x):
    return x * scale
def f(x):
    return inner(x) + len(table)
class Model:
    def fit(self, x):
        return x + self.rate
    rate = 1
model = Model()
def made(step):
    def stepping(x):
        return x + step(x)
    return stepping
step = made(inner)
half = functools.partial(f, x=2)
"""
CELLS = {
    "a loop": "out = []\nfor x in range(5):\n    out.append(f(x))",
    "a comprehension": "out = [f(x) for x in range(5)]",
    "a method": "out = []\nfor x in range(5):\n    out.append(model.fit(x))",
    "a closure": "out = []\nfor x in range(5):\n    out.append(step(x))",
    "a partial": "out = []\nfor x in range(5):\n    out.append(half() + x)",
    "two loops, one of them the kernel's": (
        "out = []\nfor x in range(5):\n    out.append(f(x))\ntotal = 0\n"
        "for x in out:\n    total = total * 2 + x"
    ),
}
CHANGES = {
    "a function that it calls": "def f(x):\n    return x - 1",
    "a function that this calls": "def inner(x):\n    return x - 1",
    "a function's code": "inner.__code__ = (lambda x: x - 1).__code__",
    "a function that notes its calls": "def inner(x):\n    seen.append(x)\n    return x",
    "a function that is now a class": "class f:\n    def __init__(self, x):\n        seen[:] = x,",
    "a method": "Model.fit = lambda self, x: seen.append(x)",
    "a class": "class Model:\n    def fit(self, x):\n        seen.append(x)\nmodel = Model()",
    "what a closure calls": "step = made(lambda x: seen.append(x) or 1)",
    "what a partial calls": "half = functools.partial(lambda: seen.append(1) or 3)",
    "a builtin": "def len(x):\n    seen.append(x)\n    return 1",
    "the iterable's maker": "def range(n):\n    return [seen, seen]",
    "the type of a value": "scale = 2.5",
    "nothing that a plan goes by": "scale = 7",
}


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The trees that are planned meanwhile."""
    trees: list[Any] = []
    original = plan.plan_cell

    def planning(tree: Any, *given: Any, **options: Any) -> Any:
        trees.append(tree)
        return original(tree, *given, **options)

    monkeypatch.setattr(plan, "plan_cell", planning)
    yield trees


def again(notebook: Notebook, cell: str) -> Any:
    """Run a cell in the notebook as it is; the error that it ended with."""
    result = notebook.shell.run_cell(cell)
    return result.error_before_exec or result.error_in_exec


def left(notebook: Notebook) -> str:
    names = ("out", "total", "seen", "x")
    found = repr({n: notebook.shell.user_ns.get(n) for n in names})
    return re.sub(r" at 0x[0-9a-f]+", "", found)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_it_is_planned_until_its_own_names_are_there(
    notebook: Notebook, planned: list[Any], cell: str
) -> None:
    notebook.run(SETUP, cell)
    serial = left(notebook)
    notebook.run(SETUP, "")
    for plans in (1, 2, 2, 2):
        assert again(notebook, f"%%parallel -q\n{cell}") is None
        assert len(planned) == plans
        assert notebook.magics.last_run.split
        assert left(notebook) == serial


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_has_changed_since_is_seen(notebook: Notebook, cell: str, change: str) -> None:
    setup = f"{SETUP}\n{cell}\n{change}"
    first = notebook.run(setup, f"%%parallel -q --or-serial\n{cell}")
    truth = left(notebook), first.report.split, first.report.stayed, first.report.serial
    notebook.run(SETUP, "")
    for _ in range(3):
        again(notebook, f"%%parallel -q --or-serial\n{cell}")
    again(notebook, change)
    again(notebook, f"%%parallel -q --or-serial\n{cell}")
    report = notebook.magics.last_run
    assert (left(notebook), report.split, report.stayed, report.serial) == truth


def test_what_only_the_values_show_is_seen_when_the_loop_is_reached(notebook: Notebook) -> None:
    cell = "%%parallel -q\nout = []\nfor x in range(3):\n    out.append(len(table) + x)"
    notebook.run(SETUP, "")
    for _ in range(3):
        assert again(notebook, cell) is None
    again(notebook, "table.append(threading.Lock())")
    assert again(notebook, cell) is None  # with the plan that it had
    assert not notebook.magics.last_run.split
    assert notebook.shell.user_ns["out"] == [4, 5, 6]
    error = again(notebook, cell)  # that is forgotten
    assert isinstance(error, NotParallel) and "table" in str(error)


def test_a_cell_that_runs_serially_keeps_its_reason(notebook: Notebook, planned: list[Any]) -> None:
    cell = "for x in table:\n    scale = scale * 2 + x"
    notebook.run(SETUP, "\n".join([cell] * 4))
    serial = notebook.shell.user_ns["scale"]
    notebook.run(SETUP, "")
    told = []
    for _ in range(4):
        assert again(notebook, f"%%parallel -q --or-serial\n{cell}") is None
        told.append(notebook.magics.last_run.stayed)
    assert told[0] and told == [told[0]] * 4
    assert len(planned) == 2
    assert notebook.shell.user_ns["scale"] == serial


def test_refusals_are_made_anew(notebook: Notebook, planned: list[Any]) -> None:
    cell = "%%parallel -q\nfor x in table:\n    scale = scale * 2 + x"
    notebook.run(SETUP, "")
    errors = [again(notebook, cell) for _ in range(3)]
    assert all(isinstance(error, NotParallel) for error in errors)
    assert len({str(error) for error in errors}) == 1


def test_other_options_are_other_plans(notebook: Notebook) -> None:
    notebook.run(SETUP, "")
    body = "best, out = 0, []\nfor x in range(9):\n    y = f(x)\n    if y > 20:\n        break\n"
    for options in ("", "--ahead"):
        cell = f"%%parallel -q --or-serial {options}\n{body}    out.append(y)"
        for _ in range(3):
            assert again(notebook, cell) is None
        assert notebook.shell.user_ns["out"] == [3, 5, 7, 9, 11, 13, 15, 17, 19]


LINES = """
got = []
for expression in ["[f(x) + 1 for x in table]", "[f(x) + 2 for x in table]"] * 2:
    got.append(get_ipython().run_line_magic("parallel", f"-q {expression}"))
"""


def test_expressions_of_one_line_are_told_apart(notebook: Notebook) -> None:
    outcome = notebook.run(SETUP, LINES)
    assert outcome.error is None
    serial = [[f + n for f in (5, 7, 9)] for n in (1, 2)]
    assert outcome.names["got"] == serial * 2


def test_what_is_to_be_explained_never_runs(notebook: Notebook) -> None:
    explaining = 'asked = ["", "", "", "--explain"]\nfor options in asked:\n' + (
        '    got = get_ipython().run_line_magic("parallel", f"-q {options} [f(x) for x in table]")'
    )
    outcome = notebook.run(SETUP, explaining)
    assert outcome.error is None
    assert outcome.names["got"] is None


def test_what_a_module_has_is_seen(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math, "fsum", math.fsum)  # put back at the end
    cell = "%%parallel -q\nout = math.fsum(f(x) for x in range(5))"
    notebook.run(SETUP, "")
    for _ in range(3):
        assert again(notebook, cell) is None
        assert notebook.magics.last_run.split
    again(notebook, "math.fsum = any")  # which asks for one element only
    assert isinstance(again(notebook, cell), NotParallel)


def test_names_that_stand_for_mocks(notebook: Notebook) -> None:
    setup = "from unittest.mock import Mock\ndef f(x):\n    return x\nm = Mock(spec=f)"
    cell = "out = []\nfor x in range(3):\n    out.append((f(x), m is f))"
    outcome = notebook.run(setup, f"%%parallel -q --or-serial\n{cell}")
    assert outcome.error is None
    assert outcome.names["out"] == [(0, False), (1, False), (2, False)]


def test_plans_keep_nothing_of_the_users(notebook: Notebook) -> None:
    notebook.run(f"{SETUP}\nblock = np.zeros(9)", "")
    cell = "%%parallel -q\nout = []\nfor x in range(3):\n    out.append(f(x) + block[x])"
    for _ in range(3):
        assert again(notebook, cell) is None
    names = ("block", "Model", "model", "step")
    held = [weakref.ref(notebook.shell.user_ns[name]) for name in names]
    for name in names:
        del notebook.shell.user_ns[name]
    again(notebook, "%%parallel -q\nout = [g for g in map(math.sqrt, range(3))]")
    gc.collect()
    assert [reference() is None for reference in held] == [True] * len(held)
