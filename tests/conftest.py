"""What the tests of cells share: one shell, its engines, and the profile of hypothesis."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mpmagic.cell.split import SplitLoop
from mpmagic.run import admission
from mpmagic.run.capture import Captured
from mpmagic.run.watched import is_watched
from tests.notebook import Notebook


@pytest.fixture(scope="session")
def session_notebook() -> Iterator[Notebook]:
    """The one shell of the session; cells run in emptied namespaces."""
    notebook = Notebook()
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(session_notebook: Notebook) -> Iterator[Notebook]:
    """A notebook whose work runs in this process, on copies."""
    session_notebook.inline()
    yield session_notebook
    session_notebook.on_pool()


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Have all that is captured watched; whether that was needed, for each loop."""
    needed: list[bool] = []

    def watched(split: SplitLoop, captured: Captured) -> bool:
        needed.append(is_watched(split, captured))
        return True

    monkeypatch.setattr(admission, "is_watched", watched)
    return needed


@pytest.fixture
def pool_notebook(session_notebook: Notebook) -> Notebook:
    """A notebook whose work runs on mpmagic's own pool."""
    session_notebook.on_pool()
    return session_notebook


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what brings threads and clusters into the tests' own process: a run of its own."""
    for item in items:
        if "engines" in item.path.parts or item.name.startswith("test_threads["):
            item.add_marker("engines")
        if "torch" in item.path.parts:  # half a gigabyte, and more of what it needs
            item.add_marker("torch")
