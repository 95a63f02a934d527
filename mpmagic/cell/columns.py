"""Columns of a frame that a loop reads, and others that it stores into.

In ``df[c + "_log"] = np.log(df[c])`` and ``df.loc[i, "y"] = f(df.loc[i, "x"])`` no iteration reads
what another one has stored, as long as no column is both read and stored and no store adds a row.
The keys are expressions of the loop's variables and of texts: which columns they stand for is
looked at when the loop is reached. The keys of a plain dict count like columns.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from mpmagic.cell.syntax import walk

__all__ = ["Columns", "find_columns", "keys_of"]

_BY_ROW: Final = frozenset({"at", "loc"})
# Of frames; what isn't among them may be a column.
_WHOLE: Final = frozenset(
    {"T", "at", "attrs", "axes", "columns", "dtypes", "empty", "flags", "iat", "iloc", "loc",
     "ndim", "shape", "size", "style", "values"}
)  # fmt: skip
_TEXT_METHODS: Final = frozenset(
    {"capitalize", "lower", "removeprefix", "removesuffix", "replace", "strip", "title", "upper"}
)
_Path = list[ast.AST]


@dataclass(slots=True)
class Columns:
    """How a loop's body uses the columns of a frame.

    Attributes
    ----------
    read, stored
        Keys of the columns that are read and stored.
    rows, read_rows
        Keys of the rows that are stored into, and of those that are read.
    attributes
        Names that are read as ``df.name``: they must be columns.
    measured
        Whether ``len`` is asked for the number of rows.
    """

    read: list[ast.expr] = field(default_factory=list)
    stored: list[ast.expr] = field(default_factory=list)
    rows: list[ast.expr] = field(default_factory=list)
    read_rows: list[ast.expr] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)
    measured: bool = False

    @property
    def by_row(self) -> bool:
        """Whether some of them are accessed row by row."""
        return bool(self.rows or self.read_rows)

    def names(self) -> set[str]:
        """The names on which it depends which columns these are."""
        nodes = walk(*self.read, *self.stored)
        return {node.id for node in nodes if isinstance(node, ast.Name)} - {"str"}


def find_columns(accesses: Iterable[_Path], stores: list[ast.expr]) -> Columns | None:
    """How a frame's columns are used; None if it's used in any other way.

    Parameters
    ----------
    accesses
        Each occurrence of its name, followed by the nodes around it, innermost first.
    stores
        All places of it that are stored into.
    """
    columns, places = Columns(), set[int]()
    for path in accesses:
        place = _note(columns, path)
        if place is None:
            return None
        places.add(id(place))
    if not all(id(store) in places for store in stores):
        return None
    if not all(map(_is_plain, (*columns.read, *columns.stored))):
        return None
    stored = {ast.dump(key) for key in columns.stored}
    return columns if stored.isdisjoint(map(ast.dump, columns.read)) else None


def _note(columns: Columns, path: _Path) -> ast.AST | None:
    """Note one access; the node that makes it, None if it isn't one of columns."""
    match path:
        case [name, ast.Subscript(value=owner) as place, *around] if owner is name:
            return _note_key(columns, place, place.slice, around)
        case [
            _,
            ast.Attribute(attr=indexer) as owner,
            ast.Subscript(value=inner, slice=ast.Tuple(elts=[row, key])) as place,
            *around,
        ] if indexer in _BY_ROW and inner is owner:
            reads = isinstance(place.ctx, ast.Load)
            (columns.read_rows if reads else columns.rows).append(row)
            return _note_key(columns, place, key, around)
        case [_, ast.Call(func=ast.Name(id="len")) as call, *_]:
            columns.measured = True
            return call
        case [_, ast.Attribute(attr="index", ctx=ast.Load()) as place, *_]:
            return place
        case [_, ast.Attribute(attr=attribute, ctx=ast.Load()) as place, around, *_]:
            if attribute in _WHOLE or (isinstance(around, ast.Call) and around.func is place):
                return None
            columns.attributes.add(attribute)
            columns.read.append(ast.copy_location(ast.Constant(attribute), place))
            return place
        case _:
            return None


def _note_key(
    columns: Columns, place: ast.Subscript, key: ast.expr, around: _Path
) -> ast.AST | None:
    if isinstance(place.ctx, ast.Load):
        columns.read += key.elts if isinstance(key, ast.List) else [key]
        return place
    augmented = bool(around) and isinstance(around[0], ast.AugAssign)
    if augmented or isinstance(place.ctx, ast.Del):
        return None
    columns.stored.append(key)
    return place


def _is_plain(key: ast.expr) -> bool:
    """Whether the key's value depends on nothing but the texts and numbers that it names."""
    match key:
        case ast.Constant(value=value):
            return type(value) in (str, int)
        case ast.Name():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_plain(left) and _is_plain(right)
        case ast.JoinedStr(values=values):
            return all(isinstance(v, ast.FormattedValue) or _is_plain(v) for v in values) and all(
                _is_plain(v.value) and v.conversion == -1 and v.format_spec is None
                for v in values
                if isinstance(v, ast.FormattedValue)
            )
        case ast.Call(func=ast.Name(id="str"), args=[value], keywords=[]):
            return _is_plain(value)
        case ast.Call(func=ast.Attribute(value=owner, attr=method), args=args, keywords=[]):
            return method in _TEXT_METHODS and all(map(_is_plain, (owner, *args)))
        case _:
            return False


def keys_of(keys: list[ast.expr], rows: list[dict[str, Any]]) -> set[Any]:
    """What plain keys stand for where their names have these values, texts and numbers all.

    Raises
    ------
    Exception
        Whatever one of the expressions raises.
    """
    codes = [compile(ast.Expression(key), "<key>", "eval") for key in keys]
    return {eval(code, {"__builtins__": {"str": str}}, row) for code in codes for row in rows}
