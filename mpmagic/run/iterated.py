"""Rows and groups of a frame that the loop's commits store into: whether the stores reach them.

pandas takes what `iterrows` and `groupby` give from arrays that it makes when the first item is
asked for: copies, but for the rows of a frame with columns of one type. Those may show the frame's
own memory, as it was before the first store or as it is now: that depends on pandas' version.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.iterable import stored_places
from mpmagic.cell.unit import Unit

__all__ = ["is_frame", "label_of", "stored_columns", "stores_past_rows"]

_INDEXERS: Final = frozenset({"at", "iat", "iloc", "loc"})
_BY_NAME: Final = frozenset({"at", "loc"})


def is_frame(value: Any) -> bool:
    """Whether it's a plain frame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and type(value) is pandas.DataFrame


def label_of(target: ast.expr, iterable: Any, frame: Any) -> str:
    """The variable that holds the name of the row, in a loop over a frame's rows; or nothing."""
    inner, inside = _unwrapped(target, iterable)
    if not _are_rows_of(inner, frame) or not isinstance(inside, ast.Tuple | ast.List):
        return ""
    first = inside.elts[0]
    return first.id if isinstance(first, ast.Name) else ""


def stored_columns(name: str, frame: Any, dependence: Dependence) -> set[str] | None:
    """The columns of a frame of which commits change cells; None if these can't be told.

    A column that is replaced as a whole leaves the memory of the old one as it was.
    """
    columns = set()
    for place in stored_places(name, dependence) if is_frame(frame) else [None]:
        match place:
            case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str()) | ast.JoinedStr()):
                continue
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(), attr="at" | "loc"),
                slice=ast.Tuple(elts=[_, ast.Constant(value=str(column))]),
            ):
                columns.add(column)
            case _:
                return None
    return columns


def stores_past_rows(name: str, frame: Any, dependence: Dependence, iterable: Any) -> bool:
    """Whether nothing that the loop takes from a frame shows what it stores there.

    Parameters
    ----------
    name, frame
        The frame, and the name under which commits store into it.
    dependence
        The loop's stages.
    iterable
        What the loop iterates over.
    """
    inner, _ = _unwrapped(dependence.target, iterable)
    if not is_frame(frame) or not (_are_rows_of(inner, frame) or _are_groups_of(inner, frame)):
        return False
    places = stored_places(name, dependence)
    if not all(_is_store(place, name) for place in places):
        return False
    if any(kind.kind == "O" for kind in frame.dtypes) and _augments(name, dependence):
        return False  # what a cell holds may be changed in place, and be a row's too
    if _are_groups_of(inner, frame) or len(set(frame.dtypes)) > 1:
        return True
    label = label_of(dependence.target, iterable, frame)
    if not label or label in dependence.whole.binds or not frame.index.is_unique:
        return False
    own = all(_is_column(place) or _is_own_cell(place, label) for place in places)
    return own and not _looked_at_later(name, label, dependence)


def _unwrapped(target: ast.expr, iterable: Any) -> tuple[Any, ast.expr | None]:
    """What is inside a progress bar or `enumerate`, and the part of the target that it gives."""
    if str(type(iterable).__module__).partition(".")[0] == "tqdm" and hasattr(iterable, "iterable"):
        return _unwrapped(target, iterable.iterable)
    if type(iterable) is enumerate:
        counted: Any = iterable.__reduce__()[1]
        second = target.elts[1] if isinstance(target, ast.Tuple) and len(target.elts) == 2 else None
        return counted[0], second
    return iterable, target


def _are_rows_of(iterable: Any, frame: Any) -> bool:
    pandas = sys.modules.get("pandas")
    if pandas is None or type(iterable) is not types.GeneratorType:
        return False
    running = iterable.gi_frame
    rows = iterable.gi_code is pandas.DataFrame.iterrows.__code__
    return rows and running is not None and running.f_locals.get("self") is frame


def _are_groups_of(iterable: Any, frame: Any) -> bool:
    pandas = sys.modules["pandas"]
    groups: bool = type(iterable) is pandas.api.typing.DataFrameGroupBy
    return groups and iterable.obj is frame


def _is_store(place: ast.AST, name: str) -> bool:
    """Whether a place is a column or a cell, which is replaced as a whole."""
    match place:
        case ast.Subscript(value=ast.Name(id=owner)):
            return owner == name
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id=owner), attr=indexer)):
            return owner == name and indexer in _INDEXERS
        case _:
            return False


def _is_column(place: ast.AST) -> bool:
    return isinstance(place, ast.Subscript) and isinstance(place.value, ast.Name)


def _is_own_cell(place: ast.AST, label: str) -> bool:
    match place:
        case ast.Subscript(
            value=ast.Attribute(attr=indexer), slice=ast.Tuple(elts=[ast.Name(id=row), _])
        ):
            return indexer in _BY_NAME and row == label
        case _:
            return False


def _augments(name: str, dependence: Dependence) -> bool:
    return any(
        isinstance(unit.node, ast.AugAssign) and name in unit.header.mutates
        for unit in dependence.every_unit()
    )


def _looked_at_later(name: str, label: str, dependence: Dependence) -> bool:
    """Whether an iteration goes on with its row after it has stored into the frame."""
    apart = {name, label}
    names = (dependence.private | dependence.targets) - apart
    order = dependence.every_unit()
    storing = [i for i, unit in enumerate(order) if name in unit.header.mutates]
    later: Iterable[Unit] = (u for i in storing for u in dependence.following(order, i))
    return any(not names.isdisjoint(unit.header.touched()) for unit in later)
