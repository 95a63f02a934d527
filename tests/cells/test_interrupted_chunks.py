"""What a chunk that is interrupted leaves in its worker: nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compare import Verdict, judge
from tests.notebook import Notebook

SETUP = """
import os, pathlib, time
kernel = os.getpid()
folder = pathlib.Path({folder!r})
stored = [0] * 4
def size(i):
    return len(stored) + stored[i]
def touch(name):
    (folder / name).touch()
def look_until(name):
    if os.getpid() == kernel:
        return
    until = time.monotonic() + 60
    while not (folder / name).exists() and time.monotonic() < until:
        time.sleep(0.001)
"""
CELL = """\
for i in range(2):
    old = stored[i]
    {store}
    if i == 0:
        look_until("changed")
        1 / 0
    touch("changed")
    look_until("never")
"""


@pytest.mark.parametrize("store", ["stored[i] = old + 1", "stored[i] += 1"])
def test_what_it_has_stored(pool_notebook: Notebook, store: str, tmp_path: Path) -> None:
    """The iteration before it raises: nothing is said but that, and nothing of it is met again."""
    setup = SETUP.format(folder=str(tmp_path))
    raised = judge(pool_notebook, CELL.format(store=store), setup=setup, options="--chunk 1")
    assert raised.verdict is Verdict.EQUAL, raised.why
    assert isinstance(raised.parallel.error, ZeroDivisionError)
    again = judge(pool_notebook, "seen = [stored[i] + size(i) for i in range(4)]", setup=setup)
    assert again.verdict is Verdict.EQUAL, again.why
