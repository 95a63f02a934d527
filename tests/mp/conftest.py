"""A notebook's ``__main__``, imitated."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

Run = Callable[[str], SimpleNamespace]
"""Runs a cell, and gives all names that there are then."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a cell in a ``__main__`` that no child could import."""
    main = sys.__class__("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)

    def run(cell: str) -> SimpleNamespace:
        name = f"<cell {hash(cell)}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), vars(main))
        return SimpleNamespace(**vars(main))

    return run
