"""Imports with the garbage collector off: it is afterwards as it was, and nothing is left out."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mpmagic.importing import without_collections

FIRST_CELL = """\
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mpmagic")
from mpmagic.importing import import_for_cells
import mpmagic.pool.executor
import_for_cells()
before = set(sys.modules)
ran = shell.run_cell("%%parallel -q\\nout = []\\nfor x in range(8):\\n    out.append(abs(x))\\n")
assert ran.success and shell.user_ns["out"] == list(range(8))
print(sorted(name for name in set(sys.modules) - before if name.startswith("mpmagic")))
"""


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_is_on_again() -> None:
    with without_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_the_collector_stays_off() -> None:
    gc.disable()
    with without_collections():
        pass
    assert not gc.isenabled()


def test_what_is_frozen_stays_frozen() -> None:
    kept: list[object] = []
    gc.collect()
    gc.freeze()
    with without_collections():
        pass
    assert not any(each is kept for each in gc.get_objects())  # which leaves out what is frozen
    gc.unfreeze()
    assert any(each is kept for each in gc.get_objects())


def test_garbage_of_others_is_found_in_the_end() -> None:
    class Node:
        gone = False

        def __del__(self) -> None:
            Node.gone = True

    gc.disable()  # looks are the test's own
    with without_collections():
        node = Node()
        node.itself = node  # type: ignore[attr-defined]
        del node
    gc.collect(0)
    assert not Node.gone
    gc.collect()
    assert Node.gone


def test_nothing_more_is_imported_by_an_ordinary_cell() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FIRST_CELL], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "[]\n"
