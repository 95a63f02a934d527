"""What cells have used is given back, also by cells that failed."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.notebook import Notebook

SETUP = "import numpy as np\nblock = np.zeros(100_000)"
CELLS = {
    "the work raises": "for x in range(3):\n    y = block[x] + 1 // (x - 2)",
    "a commit raises": "out = []\nfor x in range(3):\n    y = block[x]\n    out[x] = y",
    "an error that the cell handles": (
        "try:\n    for x in range(3):\n        y = block[x] + 1 // (x - 2)\n"
        "except ZeroDivisionError as error:\n    pass"
    ),
    "a comprehension": "ys = [block[x] + 1 // (x - 2) for x in range(3)]",
    "calls side by side": "a = abs(block).sum()\nb = np.zeros(block) + 1 // 0\nc = abs(block)",
    "nothing raises": "ys = [block[x] + 1 for x in range(3)]",
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_a_cell_captured_is_given_back(notebook: Notebook, cell: str) -> None:
    notebook.run(SETUP, f"%%parallel -q\n{cell}")
    block = weakref.ref(notebook.shell.user_ns["block"])
    notebook.run("", "%%parallel -q\nfor x in range(3):\n    y = 1 // x")  # the last one is kept
    gc.collect()
    assert block() is None
