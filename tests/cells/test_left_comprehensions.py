"""Comprehensions that are left before their end come to an end there, and not with the garbage."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator

import pytest

from tests.notebook import Notebook

SETUP = "def slow(x):\n    return x * x + 1\nxs = [5, 3, 8, 1, 5, 9]"
LEFT = [
    "hit = any(slow(x) > 60 for x in xs)",
    "fine = all(slow(x) < 60 for x in xs)",
    "first = next(slow(x) for x in xs if slow(x) > 20)",
]


@pytest.fixture
def _no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def suspended() -> list[str]:
    generators = (o for o in gc.get_objects() if isinstance(o, types.GeneratorType))
    return [g.gi_code.co_qualname for g in generators if g.gi_code.co_name == "_rows"]


@pytest.mark.usefixtures("_no_collections")
@pytest.mark.parametrize("cell", LEFT)
def test_nothing_is_left_to_the_collector(pool_notebook: Notebook, cell: str) -> None:
    outcome = pool_notebook.run(SETUP, f"%%parallel --ahead --chunk 1\n{cell}")
    assert outcome.report.split == 1
    assert not suspended()
