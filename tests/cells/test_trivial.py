"""Loops whose work is a few operations on numbers run in the kernel, as without the line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compare import compare
from tests.notebook import Notebook, Outcome

SETUP = """
import numpy as np
xs, word, scale, array = [3, 1.5, 2], "ab", 4, np.arange(3.0)
big = 1 << 100
out, total = [], 0
class Odd(int):
    pass
odd = [Odd(1), Odd(2)]
def f(x):
    return x
"""
TRIVIAL = [
    "for i in range(300):\n    out.append(i * i)\n",
    "for i in range(300):\n    out.append((i, -i, i / 7 if i % 2 else not i))\n",
    "for x in xs:\n    t = x * scale\n    t += 1\n    if t > 7 and x != 2:\n        total += t\n",
    "for i in range(9):\n    if i % 2:\n        continue\n    total += i\nelse:\n    late = 0\n",
    "for i in range(9):\n    out.append(12 // (5 - i))\n",
    "for i in range(9):\n    late = i\n    out.append(late + 1)\n",
    "squares = [i * i for i in range(100)]\n",
    "total = sum(i * i for i in range(100))\n",
]
SENT = [
    "for i in range(9):\n    out.append(f(i))\n",
    "for i in range(9):\n    out.append(i ** 3)\n",
    "for i in range(9):\n    out.append(i << 3)\n",
    "for i in range(9):\n    out.append(word * i)\n",
    "for i in range(9):\n    out.append(array * i)\n",
    "for i in range(9):\n    out.append('ab' * i)\n",
    "for i in range(9):\n    out.append(array @ array + i)\n",
    "for i in range(9):\n    out.append(big * i)\n",
    "for x in odd:\n    out.append(x * x)\n",
    "for x in [array, 2]:\n    out.append(x * x)\n",
    "for i in range(9):\n    out.append(i + i + i + i + i + i + i + i + i + i + i + i)\n",
    "for i in range(9):\n    out.append([i * k for k in range(i)])\n",
]


@pytest.fixture
def fresh(notebook: Notebook) -> Iterator[Notebook]:
    notebook.magics.sends_all = False
    notebook.magics._workforce._brief = None
    yield notebook
    notebook.magics.sends_all = True


def ran(notebook: Notebook, cell: str, options: str = "") -> Outcome:
    """A cell's outcome, which is the serial one's."""
    serial = notebook.run(SETUP, cell)
    outcome = notebook.run(SETUP, f"%%parallel -q {options}\n{cell}")
    assert not compare(serial, outcome, cell=cell)
    return outcome


@pytest.mark.parametrize("cell", TRIVIAL)
def test_it_stays(fresh: Notebook, cell: str) -> None:
    outcome = ran(fresh, cell)
    assert not outcome.report.split
    assert any("few operations on numbers" in why for _, why in outcome.report.stayed)


@pytest.mark.parametrize("cell", SENT)
def test_more_is_sent(fresh: Notebook, cell: str) -> None:
    assert ran(fresh, cell).report.split == 1


@pytest.mark.parametrize("options", ["--chunk 2", "--retries 1", "--keep-going"])
def test_what_is_asked_for_is_done(fresh: Notebook, options: str) -> None:
    assert ran(fresh, TRIVIAL[0], options).report.split == 1
