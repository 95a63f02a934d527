"""What surely changes nothing isn't looked at by the workers; all else is."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

import pytest

from mpmagic.cell.onlyreads import globals_read
from mpmagic.run import admission
from mpmagic.run.program import Program
from tests.notebook import Notebook

READING = {
    "return sum(len(table[k][1]) for k in range(i))": {"sum", "len", "table", "range"},
    "rows = []\nfor k in table:\n    rows.append(k)\nrows.sort()\nreturn rows[0]": {"table"},
    "total = 0\nfor k in table:\n    total += table[k]\nreturn total": {"table"},
    "seen = set()\nseen.add(i)\nseen |= table\nreturn seen": {"set", "table"},
    "counts = {}\nfor w in text.split():\n    counts[w] = counts.get(w, 0) + 1": {"text"},
    "counts = {}\ncounts[i] += 1": set(),
    "return math.sqrt(i) + sorted(table, key=lambda r: r[1])[0]": {"math", "sorted", "table"},
    "try:\n    return table[i]\nexcept KeyError as error:\n    return str(error)": {
        "table",
        "KeyError",
        "str",
    },
    "def inner(a):\n    own = []\n    own.append(a + i)\n    return own\nreturn inner(table)": {
        "table"
    },
    "words = text.split()\nwords.pop()\nreturn words": {"text"},
    "copy = table.copy()\ncopy.clear()": {"table"},
    "while (n := len(table)) > i:\n    i += 1": None,
    "return [x for row in table if row for x in row]": {"table"},
}
CHANGING = [
    "table[i] = 1",
    "del table[i]",
    "table[i] += [1]",
    "table += [i]",
    "table.append(i)",
    "i.append(1)",
    "i += [1]",
    "rows = table\nrows.append(1)",
    "rows = []\nrows = table\nrows.append(1)",
    "rows = [] or table\nrows.append(1)",
    "rows = [] if i else table\nrows.append(1)",
    "rows = [table]\nrows[0].append(1)",
    "rows = [table]\nrows[0] += [1]",
    "rows = {1: table}\nrows[1] |= {2}",
    "rows = {1: table}\nrows[1] *= 2",
    "for row in table:\n    row.append(1)",
    "for row in table:\n    row += [1]",
    "rows, other = table\nrows.append(1)",
    "rows = []\nfor rows in table:\n    rows.append(1)",
    "rows = []\n[rows for rows in table]\nrows.append(1)",
    "if (rows := table):\n    rows.append(1)",
    "rows = sum([], table)\nrows.append(1)",
    "rows = max(table)\nrows.append(1)",
    "rows = next(iter(table))\nrows.append(1)",
    "rows = other(table)\nrows.append(1)",
    "rows = table.get(i)\nrows.append(1)",
    "for rows in table.values():\n    rows.clear()",
    "list(map(table.append, i))",
    "list.append(table, i)",
    "table.__setitem__(i, 1)",
    "table.__iadd__([1])",
    "def list(a):\n    return table\nrows = list(i)\nrows.append(1)",
    "def inner():\n    nonlocal i\n    i += 1",
    "rows = []\ndef inner():\n    rows.append(1)",
    "global table\ntable = 1",
    "table.size = 1",
    "other = statistics.random\nother.shuffle(table)",
    "statistics.random.shuffle(table)",
    "import os",
    "with table:\n    pass",
    "class A:\n    pass",
    "del i",
    "match i:\n    case [a]:\n        pass",
]


def _function(body: str) -> ast.FunctionDef:
    (node,) = ast.parse(f"def f(i):\n{textwrap.indent(body, '    ')}").body
    assert isinstance(node, ast.FunctionDef)
    return node


@pytest.mark.parametrize("body", READING)
def test_names_of_code_that_only_reads(body: str) -> None:
    found, expected = globals_read(_function(body)), READING[body]
    assert (found is None) if expected is None else (found == expected)


@pytest.mark.parametrize("body", CHANGING)
def test_what_may_change_something(body: str) -> None:
    assert globals_read(_function(body)) is None


def test_what_a_statement_is_given_is_not_its_own() -> None:
    (node,) = ast.parse("for x in y:\n    rows = []\n    rows.append(x)").body
    assert globals_read(node) == {"y"}
    assert globals_read(node, frozenset({"rows"})) is None


SETUP = """
import math, random
from math import sqrt
table = {i: [i, i + 1] for i in range(9)}
text = "some words"
def look(i):
    return sum(table[i]) + len(table)
def length(i):
    return sqrt(len(table)) + i
class Shy(dict):
    def __getitem__(self, key):
        self.looked = True
        return 1
shy = Shy()
class Item:
    def __int__(self):
        return 2
hooks = [lambda i: table[i].append(1)]
functions = [len, table.pop]
def own_sum(*values):
    return len(table)
"""
WATCHED = {
    "y = look(x)": False,
    "y = length(x) + math.floor(x)": False,
    "y = [table[k] for k in table if k < x], text.upper()": False,
    "rows = []\n    for k in range(x):\n        rows.append(table[k])": False,
    "y = shy[x]": True,
    "y = hooks[0](x)": True,
    "y = functions[0](table)": True,
    "y = random.choice(table)": True,
    "y = [*map(len, table.values())]": False,
    "sum = own_sum\n    y = sum(table)": True,
}


@pytest.fixture
def _verdicts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    found: list[bool] = []
    known = admission.is_watched

    def noted(*arguments: object) -> bool:
        found.append(known(*arguments))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(admission, "is_watched", noted)
    yield found


@pytest.mark.parametrize("body", WATCHED)
def test_which_loops_are_watched(body: str, notebook: Notebook, _verdicts: list[bool]) -> None:
    notebook.run(SETUP, f"%%parallel -q --or-serial\nfor x in range(3):\n    {body}")
    assert all(found is WATCHED[body] for found in _verdicts)
    assert _verdicts or WATCHED[body]  # some of them are refused before


@pytest.mark.parametrize(("items", "watched"), [("range(3)", False), ("[Item(), Item()]", True)])
def test_items_that_have_code_are_watched(
    items: str, watched: bool, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(Program, "watch", lambda program: seen.append(program))
    notebook.run(SETUP, f"%%parallel -q\nfor x in {items}:\n    y = look(int(x))")
    assert bool(seen) is watched
