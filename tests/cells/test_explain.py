"""What `--explain` and refusals say: each reason once, at its line, with a next step."""

from __future__ import annotations

import ast
import random
from typing import Any

import pytest

from mpmagic.cell.dependence import Allowances
from mpmagic.cell.explain import explained, why_refused
from mpmagic.cell.plan import CellPlan, plan_cell
from tests.compare import assert_equal
from tests.notebook import Notebook


class Model:
    def fit(self, x: int) -> None:
        self.w = x


def step(state: int, x: int = 0) -> int:
    return state * 3 + x


def planned(cell: str, **allowed: Any) -> tuple[CellPlan, str]:
    namespace: dict[str, Any] = {"step": step, "model": Model(), "xs": [1, 2], "cache": {}}
    namespace["random"] = random
    text = "%%parallel\n" + cell
    plan = plan_cell(ast.parse("\n" + cell), namespace, Allowances(**allowed), "<cell>")
    return plan, text


def line_of(listing: str, number: int) -> tuple[str, str]:
    """The mark and the reason of a line."""
    line = next(t for t in listing.split("\n") if t[7:11].strip() == str(number))
    return line[:7].strip(), line.partition("# ")[2]


STORED = """out, total = [], 0
for x in xs:
    y = step(x)
    out.append(step(y))
    total += y
"""


@pytest.mark.parametrize(
    ("number", "mark", "reason"),
    [
        (2, "kernel", ""),
        (4, "work", ""),
        (5, "commit", "`step(y)` in a worker; changes `out`"),
        (6, "commit", "carries `total` from one iteration to the next"),
    ],
)
def test_marks_and_reasons(number: int, mark: str, reason: str) -> None:
    assert line_of(str(explained(*planned(STORED))), number) == (mark, reason)


PREPARED = """n, rate, out = 0, 0.5, []
for x in xs:
    n += 1
    if x % 2:
        rate *= 0.9
    print(step(n), rate)
    y = random.random()
    out.append(step(random.randint(1, 6), y))
"""


@pytest.mark.parametrize(
    ("number", "mark", "reason"),
    [
        (4, "prepare", "runs ahead of the work: line 7 reads `n`"),
        (5, "work", ""),
        (6, "prepare", "runs ahead of the work: line 7 reads `rate`"),
        (7, "work", ""),
        (8, "prepare", "`random.random()` is drawn ahead of the work, in order"),
        (
            9,
            "commit",
            "`random.randint(1, 6)` is drawn ahead of the work, in order; "
            "`step(random.randint(1, 6), y)` in a worker; changes `out`",
        ),
    ],
)
def test_what_runs_ahead_says_for_whom(number: int, mark: str, reason: str) -> None:
    assert line_of(str(explained(*planned(PREPARED))), number) == (mark, reason)


def test_sliced_state_says_what_the_worker_computes() -> None:
    listing = str(explained(*planned("a = [1, 2]\nfor i in range(2):\n    a[i] = step(a[i])\n")))
    reason = "`step(a[i])` in a worker; stores into `a` where no other iteration does"
    assert line_of(listing, 4) == ("commit", reason)


GUARDED = """seen = set()
for x in xs:
    if x not in seen:
        seen.add(step(x))
"""


@pytest.mark.parametrize(
    ("cell", "first", "advice"),
    [
        (
            "s = 1\nfor x in xs:\n    s = step(s, x)\n",
            "line 4: `step(s, x)` carries `s` from one iteration to the next",
            "",
        ),
        (
            "for x in xs:\n    model.fit(x)\n",
            "line 3: `model.fit(x)` changes `model`",
            "--private model",
        ),
        (
            "a = [1]\nfor x in xs:\n    y = step(a[-1])\n    a.append(y)\n",
            "line 4: `step(a[-1])` reads `a`, which `a.append(y)` in line 5 changes",
            "",
        ),
        (
            "out = []\nfor x in xs:\n    out.append(x)\n",
            "line 3: there is no work in the body that is worth sending",
            "",
        ),
        (
            "a = [1, 2]\nfor i in range(1, 2):\n    a[i] = step(a[i - 1])\n",
            "line 4: `step(a[i - 1])` reads `a`, which the same line changes",
            "",
        ),
        (
            GUARDED,
            "line 5: `step(x)` runs only if shared state says so: "
            "line 5, `seen.add(step(x))`, changes `seen`",
            "--ahead",
        ),
        (
            "for x in xs:\n    if step(x):\n        break\n",
            "line 4: `break` may end the loop while later iterations are running already",
            "--ahead",
        ),
        (
            "for x in xs:\n    y = 0\n    try:\n        y = step(x)\n        cache[x].append(y)\n"
            "    except KeyError:\n        cache[x] = y\n",
            "line 4: `try`: line 6 may raise under the `try` of line 4",
            "before the statement",
        ),
    ],
)
def test_refusals(cell: str, first: str, advice: str) -> None:
    plan, text = planned(cell)
    said, second, *_ = str(why_refused(plan, text)).split("\n")
    assert said == first
    assert advice in second and bool(second) == bool(advice)


def test_what_ahead_cannot_help_is_not_said_to_be_helped_by_it() -> None:
    cell = "k = 0\nfor x in xs:\n    if k < 3:\n        k = step(k)\n    else:\n        k += 1\n"
    plan, text = planned(cell)
    assert "--ahead" not in str(why_refused(plan, text))


@pytest.mark.parametrize("test", ["k < 3", "k < 3 and step(x) > 1"])
def test_what_ahead_helps_is_said_to_be_helped_by_it(test: str) -> None:
    cell = f"k = 0\nfor x in xs:\n    if {test}:\n        k += step(x)\n    else:\n        k += 1\n"
    plan, text = planned(cell)
    assert "--ahead" in str(why_refused(plan, text))
    assert planned(cell, ahead=True)[0].loops


def test_explain_ends_with_the_way_out() -> None:
    plan, text = planned("for x in xs:\n    model.fit(x)\n")
    assert str(explained(plan, text)).split("\n")[-1].startswith("line 3: `--private model`")


def test_lines_of_a_function_are_those_of_its_call() -> None:
    cell = "def note(v):\n    cache[v] = 1\nfor x in xs:\n    note(0)\n    y = step(x)\n"
    plan, text = planned(cell)
    assert line_of(str(explained(plan, text)), 5) == ("commit", "changes `cache`")


def test_blank_lines_under_the_magic_keep_functions_in_their_places(notebook: Notebook) -> None:
    """What a function of the cell changes is read in its source, found by its line."""
    cell = """
class Box:
    v = 0
    def tick(self, x):
        self.v += x
        return self.v
n, out = 0, []
for x in range(6):
    t = Box()
    s = str(x)
    if n % 2:
        v = t.tick(x)
    out.append((t.v, s))
    n += 1
"""
    assert_equal(notebook, f"\n{cell}", options="--ahead")
