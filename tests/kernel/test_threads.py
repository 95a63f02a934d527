"""Cells on threads of the kernel, as a front end sees them: as the serial cell's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.kernel.session import KernelSession, kernel
from tests.kernel.test_output import messages

SETUP = """
import asyncio, time
import matplotlib.pyplot as plt
from IPython.display import clear_output, display, update_display
xs = [5, 3, 8, 1]
out = []

def slow(x):
    time.sleep(0.01)
    return x * x
"""

CELLS = {
    "displays": "out = []\nfor x in xs:\n    print('at', x)\n    y = slow(x)\n    display(y)\n"
    "    out.append(y)",
    "updates": "display(0, display_id='it')\nfor x in xs:\n    y = slow(x)\n"
    "    update_display(y, display_id='it')\n    clear_output(wait=True)",
    "figures": "for x in xs:\n    y = slow(x)\n    plt.plot([0, y])\nplt.title('all')",
    "commands": "out = []\nfor x in xs:\n    y = slow(x)\n    t = !echo {y}\n    out.append(t[0])",
    "awaiting": "out = []\nfor x in xs:\n    y = slow(x)\n    out.append(y)\n"
    "await asyncio.sleep(0)\nprint(out)\nout",
    "calls": "a = slow(1)\nb = slow(2)\nout = [a, b]",
    "exception": "out = []\nfor x in xs:\n    y = 1 / (8 - slow(x) // 8)\n    out.append(y)",
}


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        assert running.execute(SETUP).status == "ok"
        yield running


@pytest.mark.parametrize("name", CELLS)
def test_same_on_threads(session: KernelSession, name: str) -> None:
    found = []
    for magic in ("", "%%parallel -q --on threads --chunk 1\n"):
        reply = session.execute(magic + CELLS[name])
        found.append((messages(reply), session.value("out")))
    assert found[1] == found[0]


def test_note_names_the_thread(session: KernelSession) -> None:
    session.execute("%%parallel -q --on threads\nfor x in xs:\n    y = 1 / (slow(x) - 64)")
    cell = "import sys\nnotes = ''.join(sys.last_value.__notes__)"
    assert session.execute(cell).status == "ok"
    assert re.search(r"iteration 2, x = 8, in thread \d+", session.value("notes"))


def test_nothing_is_left_behind(session: KernelSession) -> None:
    """The kernel's shell and streams are what they were."""
    cell = "[n for n in ('publish', 'clear_output') if n in vars(get_ipython().display_pub)]"
    assert session.value(cell) == []
    assert session.value("'format' in vars(get_ipython().display_formatter)") is False
