"""Libraries tell `multiprocessing` how to hand their objects to a process that it starts."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

from tests.compare import assert_equal
from tests.notebook import Notebook


def by_descriptor(value: Any) -> tuple[Any, ...]:
    raise AssertionError("no process is being started")


by_descriptor.__module__ = "a_library.multiprocessing"


@pytest.fixture
def registered() -> Iterator[None]:
    ForkingPickler.register(Fraction, by_descriptor)
    yield
    del ForkingPickler._extra_reducers[Fraction]


def test_objects_travel_as_they_are_pickled(registered: None, pool_notebook: Notebook) -> None:
    setup = "from fractions import Fraction\nthird = Fraction(1, 3)\nout = []"
    cell = "for x in range(6):\n    out.append(Fraction(x, 7) * third)"
    judgement = assert_equal(pool_notebook, cell, setup=setup, options="-n 2 --chunk 1")
    assert judgement.parallel.report.split == 1
