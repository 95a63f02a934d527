"""Frames that the commits store into while the work reads them: whether the two ever meet.

They don't where no column is both read and stored, and no store adds a row. A column that is
stored changes neither the values nor the type of another one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mpmagic.cell.columns import Columns, keys_of
from mpmagic.cell.slices import Slice
from mpmagic.run.iterated import is_frame, label_of
from mpmagic.run.leads import bindings_of

__all__ = ["is_index", "why_columns_meet"]

_PLAIN: Final = (str, int)
_NAMES: Final = (str, int, float, bool)
_Loop = tuple[ast.expr, Any]


def is_index(value: Any) -> bool:
    """Whether it's an index of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Index)


def why_columns_meet(slice_: Slice, loop: _Loop, sent: Mapping[str, Any]) -> str:
    """Why columns that are read may be among those that are stored; empty if they can't be.

    Parameters
    ----------
    slice_
        What the source says of them.
    loop
        The loop's target, and what it iterates over.
    sent
        Captured values by name.
    """
    columns, value = slice_.columns, sent.get(slice_.name)
    assert columns is not None
    if type(value) is dict:
        why = _why_not_texts(columns, value)
    else:
        why = _why_not_plain(columns, value) or _why_rows_meet(slice_, value, loop)
    if not why and ((columns.measured and "len" in sent) or "str" in sent):
        why = "`len` or `str` isn't Python's own"
    return why or _why_keys_meet(columns, loop, sent)


def _are_plain(keys: Iterable[Any]) -> bool:
    return all(type(key) in _PLAIN for key in keys)


def _why_not_texts(columns: Columns, value: dict[Any, Any]) -> str:
    if columns.by_row or columns.attributes or columns.measured or not _are_plain(value):
        return "it isn't a dict of which plain keys are asked for"
    return ""


def _why_not_plain(columns: Columns, frame: Any) -> str:
    if not is_frame(frame) or not frame.columns.is_unique or not _are_plain(frame.columns):
        return "it isn't a frame with plain unique columns"
    if not len(frame.index):
        return "the loop may add rows to it"
    others = [n for n in sorted(columns.attributes) if hasattr(type(frame), n) or n in vars(frame)]
    return f"the loop reads its `{others[0]}`" if others else ""


def _why_rows_meet(slice_: Slice, frame: Any, loop: _Loop) -> str:
    """Why a cell may be read or stored in another way than by its row; empty if none is."""
    columns, index = slice_.columns, frame.index
    assert columns is not None
    if not columns.by_row:
        return ""
    dated = _is_dated(index)
    if not index.is_unique or not (dated or _has_plain_names(index)):
        return "its rows haven't got plain unique names"
    stored = [row for row in columns.rows if not _is_whole(row)]
    if not all(_is_row(row, slice_.name, frame, loop) for row in stored):
        return "the loop may add rows to it"
    # A text may stand for a part of a date.
    if dated and not all(_is_row(row, slice_.name, frame, loop) for row in columns.read_rows):
        return "the loop may read its rows by parts of their dates"
    return ""


def _is_dated(index: Any) -> bool:
    pandas = sys.modules["pandas"]
    return type(index) in (pandas.DatetimeIndex, pandas.TimedeltaIndex)


def _has_plain_names(index: Any) -> bool:
    """Whether each cell is found by itself.

    pandas before 3 reads one that it finds in another way through the whole row, all columns
    upcast to one type: a column more changes what is read of the others.
    """
    pandas = sys.modules["pandas"]
    if type(index) not in (pandas.Index, pandas.RangeIndex):
        return False
    return index.dtype != object or all(type(name) in _NAMES for name in index)


def _is_whole(row: ast.expr) -> bool:
    return isinstance(row, ast.Slice) and row.lower is row.upper is row.step is None


def _is_row(row: ast.expr, name: str, frame: Any, loop: _Loop) -> bool:
    """Whether an expression gives names of rows that are there, and nothing else."""
    match row:
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id=owner), attr="index")):
            return owner == name
        case ast.Compare(left=ast.Subscript(value=ast.Name(id=owner)), ops=[_]):
            return owner == name  # a mask
        case ast.Name(id=variable):
            return label_of(*loop, frame) == variable or _are_rows(variable, frame, loop)
        case _:
            return False


def _are_rows(variable: str, frame: Any, loop: _Loop) -> bool:
    """Whether a variable of the loop takes no values but names of rows."""
    rows, dated = bindings_of(*loop), _is_dated(frame.index)
    if rows is None or not all(variable in row for row in rows):
        return False
    names = [row[variable] for row in rows]
    try:
        return all(name in frame.index and not (dated and type(name) is str) for name in names)
    except TypeError:  # not hashable
        return False


def _why_keys_meet(columns: Columns, loop: _Loop, sent: Mapping[str, Any]) -> str:
    names = columns.names()
    given = {name: sent[name] for name in names & sent.keys()}
    rows = [given]
    if names - given.keys():
        bindings = bindings_of(*loop)
        if bindings is None:
            return "it can't be seen which columns are read and stored"
        rows = [given | {n: row[n] for n in names & row.keys()} for row in bindings]
    if not all(row.keys() == names and _are_plain(row.values()) for row in rows):
        return "its columns aren't named by plain texts"
    try:
        read, stored = keys_of(columns.read, rows), keys_of(columns.stored, rows)
    except (AttributeError, TypeError):
        return "it can't be seen which columns are read and stored"
    met = read & stored
    return f"the loop both reads and stores {min(met, key=str)!r}" if met else ""
