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


LATER = {
    "a loop": "for x in range(3):\n    y = block[x]",
    "a loop over it": "out = []\nfor row in [block, block]:\n    out.append(row.sum())\ndel row",
    "a comprehension": "ys = [block[x] + 1 for x in range(3)]",
}


@pytest.mark.parametrize("cell", LATER.values(), ids=LATER)
def test_what_the_cell_deletes_is_gone_at_once(pool_notebook: Notebook, cell: str) -> None:
    cell = f"{SETUP}\n{cell}\nheld = weakref.ref(block)\ndel block\ngone = held() is None"
    gc.collect()
    gc.disable()
    try:
        pool_notebook.run("import weakref", f"%%parallel -q\n{cell}")
    finally:
        gc.enable()
    assert pool_notebook.shell.user_ns["gone"]


GARBAGE = LATER | {
    "a loop that is left": "for x in range(9):\n    y = block[x]\n    if x == 4:\n        break",
    "calls side by side": "a = abs(block).sum()\nb = sum(block)\nc = abs(block)",
    "an error that the cell handles": CELLS["an error that the cell handles"],
    "an error of a comprehension": (
        "try:\n    ys = [block[x] + 1 // (x - 2) for x in range(3)]\n"
        "except ZeroDivisionError:\n    pass"
    ),
    "nothing to send": "out = []\nfor x in range(3):\n    out.append(x)",
    "nested loops": "for k in range(3):\n    for x in range(4):\n        y = block[x] + k",
}


@pytest.mark.parametrize("cell", GARBAGE.values(), ids=GARBAGE)
def test_cells_leave_no_cycles(pool_notebook: Notebook, cell: str) -> None:
    source = f"%%parallel -q --ahead --or-serial\n{cell}"
    pool_notebook.run(SETUP, source)  # what is imported leaves some
    gc.collect()
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        pool_notebook.run(SETUP, source)
        gc.collect()
        left = [one for one in gc.garbage if type(one).__module__.startswith("mpmagic")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
