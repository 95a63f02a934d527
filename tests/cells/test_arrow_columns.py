"""Columns of Arrow that are captured: not copied if they are whole, and only the part if not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mpmagic.run.codec import Encoder, decode
from mpmagic.run.packed import Packed
from mpmagic.run.side import Side
from tests.compare import assert_equal
from tests.notebook import Notebook

WORDS = pd.Series([f"word {i}" for i in range(5_000)], dtype=pd.ArrowDtype(pa.large_string()))
NUMBERS = pd.Series(range(40_000), dtype="int64[pyarrow]")
COLUMNS = {
    "texts": WORDS,
    "texts of pandas": pd.Series([f"{i}" for i in range(5_000)], dtype="string[pyarrow]"),
    "with gaps": WORDS.where(np.arange(5_000) % 3 > 0),
    "numbers": NUMBERS,
    "times": pd.Series(pd.date_range("2020", periods=9_000)).astype("timestamp[ns][pyarrow]"),
    "none": WORDS[:0],
    "a head": WORDS.head(100),
    "a tail": WORDS.tail(100),
    "in pieces": pd.concat([WORDS, WORDS]),
}


def packed(value: Any) -> Packed:
    return Encoder(Side({}), by_reference=False).encode(value)


def addresses(column: pd.Series) -> set[int]:
    """Where the memory of a column is."""
    chunks = column.array._pa_array.chunks
    return {b.address for chunk in chunks for b in chunk.buffers() if b is not None}


def buffers_of(parcel: Packed) -> set[int]:
    return {pa.py_buffer(buffer.raw()).address for buffer in parcel.buffers}


@pytest.mark.parametrize("name", COLUMNS)
def test_they_arrive_as_they_are(name: str) -> None:
    column = COLUMNS[name]
    arrived = decode(packed(column), Side({}))
    pd.testing.assert_series_equal(arrived, column)
    assert arrived.array._pa_array.type == column.array._pa_array.type
    assert packed(column).nbytes < 2 * column.memory_usage(index=True) + 10_000


@pytest.mark.parametrize("name", ["texts", "texts of pandas", "with gaps", "numbers", "times"])
def test_whole_ones_are_not_copied(name: str) -> None:
    sent = buffers_of(packed(COLUMNS[name]))
    assert sent
    assert sent & addresses(COLUMNS[name])


@pytest.mark.parametrize("name", ["a head", "a tail", "in pieces"])
def test_parts_leave_the_rest_behind(name: str) -> None:
    assert not buffers_of(packed(COLUMNS[name])) & addresses(COLUMNS[name])


def test_what_pandas_keeps_of_them_stays_behind() -> None:
    column = WORDS.copy()
    before = packed(column).data
    column.array._cache = {"kept": np.zeros(10)}
    assert packed(column).data == before


def test_in_a_cell(pool_notebook: Notebook) -> None:
    setup = (
        "import pandas as pd\n"
        "frame = pd.DataFrame({'s': [f'{i} x' for i in range(9000)], 'n': range(9000)})\n"
        "out = []"
    )
    cell = (
        "for i in range(6):\n    part = frame[frame.n % 6 == i]\n"
        "    out.append((part.s.str.len().sum(), part.s.iloc[-1]))"
    )
    assert_equal(pool_notebook, cell, setup=setup)
