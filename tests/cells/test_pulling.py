"""Iterables that take their time: what comes out of them isn't waited for longer than need be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpmagic.run import dispatch, source
from mpmagic.run.source import Batch, ItemSource
from tests.compare import assert_equal
from tests.notebook import Notebook


class Clock:
    """Time that goes on when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def numbers(self, count: int, seconds: float) -> Iterator[int]:
        """Numbers, each of which takes so long."""
        for number in range(count):
            self.now += seconds
            yield number


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(source, "perf_counter", clock)
    return clock


def batches(items: ItemSource, size: int, seconds: float | None) -> list[Batch]:
    found = []
    while (batch := items.pull(size, seconds=seconds)) is not None:
        found.append(batch)
    return found


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [(None, [8, 2]), (1.0, [8, 2]), (0.05, [2, 3, 3, 2]), (0.0, [1] * 10)],
)
def test_what_has_come_in_time_is_a_batch(
    clock: Clock, seconds: float | None, sizes: list[int]
) -> None:
    items = ItemSource(clock.numbers(10, seconds=0.02), ast.Name("x"))
    found = batches(items, 8, seconds)
    assert [number for batch in found for number in batch.items] == list(range(10))
    assert [len(batch.items) for batch in found] == sizes
    assert [batch.last for batch in found] == [False] * (len(sizes) - 1) + [True]


def test_items_that_are_there_are_not_hurried(clock: Clock) -> None:
    items = ItemSource(list(range(10)), ast.Name("x"))
    clock.now = 100.0
    assert [len(batch.items) for batch in batches(items, 8, 0.0)] == [8, 2]


SETUP = "out = []\ndef slow(x):\n    return x * x"
ENDLESS = """\
def numbers():
    n = 0
    while True:
        yield n
        n += 1

for x in numbers():
    y = slow(x)
    out.append(y)
    1 / (x - 3)
"""


def test_the_oldest_chunk_is_committed_before_more_is_pulled(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_PULLING_SECONDS", 0.0)
    pulled: list[int] = []
    original = ItemSource.pull

    def pull(self: ItemSource, size: int, *, seconds: float | None = None) -> Batch | None:
        batch = original(self, size, seconds=seconds)
        pulled.append(0 if batch is None else len(batch.items))
        return batch

    monkeypatch.setattr(ItemSource, "pull", pull)
    assert_equal(notebook, ENDLESS, setup=SETUP)
    assert notebook.magics.last_run.loops[0].iterations == 3
    assert sum(pulled) < 10


def test_what_a_run_goes_on_with_is_cut_as_before(notebook: Notebook, tmp_path: Path) -> None:
    failing = "for x in iter(range(40)):\n    y = slow(x)\n    out.append(y)\n    1 / (x - 20)"
    for resumed in (0, 20):
        outcome = notebook.run(SETUP, f"%%parallel -q --resume {tmp_path}/kept\n{failing}")
        assert isinstance(outcome.error, ZeroDivisionError)
        assert outcome.report.loops[0].resumed == resumed
