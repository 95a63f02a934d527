"""Values that can run ahead: immutable ones, of which operations compute and do no more."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

import xxhash

from mpmagic.cell.knowledge import bound_names

__all__ = [
    "VALUES",
    "CannotRunAhead",
    "check_value",
    "content_of",
    "holds_nan",
    "is_value",
    "unpacked",
]

VALUES: Final = frozenset({int, float, complex, str, bytes, bool, type(None)})
_SCALARS: Final = frozenset(
    {"bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
     "float16", "float32", "float64", "datetime64", "timedelta64"}
)  # fmt: skip


class CannotRunAhead(Exception):
    """Something isn't an immutable value; the message says what.

    Parameters
    ----------
    reason
        The message.
    names
        The names that stand for it.
    """

    def __init__(self, reason: str, names: Iterable[str]) -> None:
        super().__init__(reason)
        self.names = frozenset(names)


def check_value(name: str, value: Any) -> None:
    """Look at the value of a name.

    Raises
    ------
    CannotRunAhead
        If it can't run ahead.
    """
    if not is_value(value):
        kind = type(value).__name__
        reason = f"`{name}` is of type {kind}, and only plain values can run ahead"
        raise CannotRunAhead(reason, [name])


def is_value(value: Any) -> bool:
    """Whether it's immutable, and operations on it compute and do no more."""
    kind = type(value)
    if kind in VALUES:
        return True
    if kind is tuple:
        return all(map(is_value, value))
    numpy = sys.modules.get("numpy")
    return kind.__name__ in _SCALARS and getattr(numpy, kind.__name__, None) is kind


def holds_nan(state: tuple[Any, ...]) -> bool:
    """Whether it holds a NaN, which is found by its identity."""
    return any(value != value or (type(value) is tuple and holds_nan(value)) for value in state)


def content_of(value: Any) -> Any:
    """What is drawn from: elements by their identity, of arrays a digest."""
    if type(value) in (list, tuple):
        return tuple(map(id, value))
    if hasattr(value, "dtype"):
        return value.shape, value.dtype.str, xxhash.xxh3_128_digest(value.tobytes())
    return value


def unpacked(target: ast.expr, item: Any) -> Iterator[tuple[str, Any]]:
    """The names of a target with what they are bound to."""
    match target:
        case ast.Name():
            yield target.id, item
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            if type(item) not in (tuple, list, str):
                reason = f"`{ast.unparse(target)}` unpacks a {type(item).__name__}"
                raise CannotRunAhead(reason, bound_names(target))
            for part, value in zip(parts, item, strict=False):
                if isinstance(part, ast.Starred):
                    reason = f"`{ast.unparse(part)}` is a list"
                    raise CannotRunAhead(reason, bound_names(target))
                yield from unpacked(part, value)
        case _:
            reason = f"`{ast.unparse(target)}` isn't a plain name"
            raise CannotRunAhead(reason, bound_names(target))
