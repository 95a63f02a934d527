"""The judge itself: differences that it has to see, and likenesses that it must not call one."""

from __future__ import annotations

import collections
import decimal
import enum

import numpy as np
import pandas as pd
import pytest

from tests.compare import compare
from tests.deep import Drained, difference
from tests.notebook import Event, Notebook, Outcome

NAN = float("nan")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


UNEQUAL = {
    "type of a number": (1, 1.0),
    "bool is no int": (True, 1),
    "type of a sequence": ([1], (1,)),
    "order of a list": ([1, 2], [2, 1]),
    "length": ([1, 2], [1, 2, 3]),
    "order of a dict": ({1: 1, 2: 2}, {2: 2, 1: 1}),
    "type of a key": ({1: 1}, {1.0: 1}),
    "last bit of a float": (0.1 + 0.2, 0.3),
    "sign of zero": (0.0, -0.0),
    "sign of nan": (NAN, -NAN),
    "members of a set": ({1, 2}, {1, 3}),
    "members": (Colour.RED, Colour.BLUE),
    "dict and its subclass": ({1: 1}, collections.Counter({1: 1})),
    "default factory": (collections.defaultdict(int), collections.defaultdict(list)),
    "digits of a decimal": (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    "dtype": (np.zeros(2, "f4"), np.zeros(2, "f8")),
    "shape": (np.zeros((2, 1)), np.zeros(2)),
    "bits of an array": (np.array([0.0]), np.array([-0.0])),
    "scalar and float": (np.float64(1), 1.0),
    "arguments of an exception": (ValueError(1), ValueError(2)),
    "type of an exception": (ValueError(1), TypeError(1)),
    "index of a frame": (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}, index=[3])),
    "order of columns": (pd.DataFrame({"a": [1], "b": [1]}), pd.DataFrame({"b": [1], "a": [1]})),
    "dtype of a column": (pd.Series([1]), pd.Series([1.0])),
    "what a function does": (lambda x: x + 1, lambda x: x + 2),
    "what an iterator has left": (Drained(iter([1])), Drained(iter([]))),
    "deep inside": ({"a": [{"b": (1, [2.0])}]}, {"a": [{"b": (1, [2])}]}),
}


@pytest.mark.parametrize("pair", UNEQUAL.values(), ids=UNEQUAL)
def test_sees_a_difference(pair: tuple[object, object]) -> None:
    assert difference(*pair) is not None
    assert difference([pair[1]], [pair[0]]) is not None


def test_nan_is_nan() -> None:
    assert difference([NAN, np.array([NAN])], [float("nan"), np.array([NAN])]) is None


def test_cycles_end() -> None:
    a: list[object] = [1]
    b: list[object] = [1]
    a.append(a)
    b.append(b)
    assert difference(a, b) is None


def test_readonly_array_is_another() -> None:
    locked = np.zeros(2)
    locked.flags.writeable = False
    assert difference(np.zeros(2), locked) is not None


def outcomes(notebook: Notebook, one: str, other: str, setup: str = "") -> tuple[Outcome, Outcome]:
    """What two cells leave, the other under a comment in the place of the magic line."""
    return notebook.run(setup, one), notebook.run(setup, f"# the magic\n{other}")


CELLS = {
    "a name more": ("a = 1", "a = 1; b = 2"),
    "a name less": ("a = 1; b = 2", "a = 1"),
    "helper with underscores": ("a = 1", "a = 1; __mpmagic_log = 2"),
    "text": ("print(1)", "print(2)"),
    "the stream": ("import sys; print(1)", "import sys; print(1, file=sys.stderr)"),
    "order of streams": (
        "import sys; print(1); print(2, file=sys.stderr)",
        "import sys; print(2, file=sys.stderr); print(1)",
    ),
    "displayed value": ("a = 1; a", "a = 1; a;"),
    "exception": ("1 / 0", "pass"),
    "message": ("raise ValueError(1)", "raise ValueError(2)"),
    "line": ("#\nraise ValueError(1)", "#\n#\n#\nraise ValueError(1)"),
    "cause": ("raise ValueError(1) from KeyError(2)", "raise ValueError(1)"),
    "alias": ("a = []; b = a", "a = []; b = []"),
    "identity of what was there": ("z = old", "z = list(old)"),
    "a file": ("open('f', 'w').close()", "pass"),
    "the environment": ("import os; os.environ['CELLS'] = '1'", "import os"),
    "the global stream": ("import random; random.random();", "import random"),
    "rest of an iterator": ("i = iter([1, 2])", "i = iter([1, 2]); next(i);"),
    "a class": ("class A: x = 1", "class A: x = 2"),
    "attribute": (
        "class A: pass\na = A(); a.x = 1",
        "class A: pass\na = A(); a.x = 1; a.y = 2",
    ),
    "copied class": (
        "class A: pass\na = A()",
        "class A: pass\na = A()\nclass A: pass",
    ),
}


@pytest.mark.parametrize("pair", CELLS.values(), ids=CELLS)
def test_sees_another_notebook(pair: tuple[str, str], session_notebook: Notebook) -> None:
    one, other = outcomes(session_notebook, *pair, setup="old = [1]")
    assert compare(one, other)


@pytest.mark.parametrize("cell", sorted({pair[0] for pair in CELLS.values()}))
def test_same_cell_is_the_same_notebook(cell: str, session_notebook: Notebook) -> None:
    one, other = outcomes(session_notebook, cell, cell, setup="old = [1]")
    assert compare(one, other) == ""


def test_text_in_pieces_is_one_text(session_notebook: Notebook) -> None:
    outcome = session_notebook.run("", "import sys\nsys.stdout.write('a');\nprint('b')")
    assert outcome.events == [Event("stdout", "ab\n")]
