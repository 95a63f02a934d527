"""The values that a loop's variable will take, where they can be seen before the loop begins."""

from __future__ import annotations

import ast
import copy
from typing import Any

from mpmagic.run.iterables import PLAIN_ITERATORS

__all__ = ["Counting", "Leads", "bindings_of", "leads_of"]


class Counting:
    """The numbers that `enumerate` gives: distinct and not negative by themselves."""


Leads = list[Any] | range | Counting


def leads_of(variable: str, target: ast.expr, iterable: Any) -> Leads | None:
    """The loop variable's values; None if they can't be seen, or aren't distinct."""
    found: Leads | None
    if isinstance(target, ast.Name):
        found = _values(iterable)
    elif isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
        names = [e.id if isinstance(e, ast.Name) else "" for e in target.elts]
        if variable not in names:
            return None
        found = _column(names.index(variable), iterable)
    else:
        return None
    if found is None or isinstance(found, range | Counting):
        return found
    try:
        distinct = len(set(found)) == len(found) and all(k == k for k in found)
    except TypeError:
        return None
    return found if distinct else None


def _column(position: int, iterable: Any) -> Leads | None:
    if type(iterable) is enumerate:
        count: Any = iterable.__reduce__()[1][1]
        return Counting() if position == 0 and count >= 0 else None
    if type(iterable) is zip:
        inner: Any = iterable.__reduce__()[1][position]
        return list(copy.copy(inner)) if type(inner) in PLAIN_ITERATORS else None
    if type(iterable) is type({}.items()) and position == 0:
        return list(iterable.mapping)
    if type(iterable) in (list, tuple) and all(type(i) is tuple for i in iterable):
        return [i[position] for i in iterable]
    return None


def _values(iterable: Any) -> list[Any] | range | None:
    if type(iterable) in (range, list, tuple, dict, set, frozenset, type({}.keys())):
        return iterable if isinstance(iterable, range) else list(iterable)
    module = str(type(iterable).__module__).partition(".")[0]
    if module == "pandas" and type(iterable).__name__ == "DataFrame":
        return list(iterable.columns)
    if module in ("pandas", "numpy") and getattr(iterable, "ndim", 0) == 1:
        return list(iterable.tolist())
    return None


def bindings_of(target: ast.expr, iterable: Any) -> list[dict[str, Any]] | None:
    """What each iteration binds the target's names to; None if that can't be seen."""
    items = _items(iterable)
    if items is None:
        return None
    if isinstance(target, ast.Name):
        return [{target.id: item} for item in items]
    if not isinstance(target, ast.Tuple | ast.List):
        return None
    names: list[str] = [e.id for e in target.elts if isinstance(e, ast.Name)]
    whole = all(type(item) is tuple and len(item) == len(target.elts) for item in items)
    if len(names) < len(target.elts) or not whole:
        return None
    return [dict(zip(names, item, strict=True)) for item in items]


def _items(iterable: Any) -> list[Any] | None:
    if type(iterable) is enumerate:
        counted: Any = iterable.__reduce__()[1]
        inner, count = counted
        return list(enumerate(copy.copy(inner), count)) if type(inner) in PLAIN_ITERATORS else None
    if type(iterable) is zip:
        parts: Any = iterable.__reduce__()[1]
        plain = all(type(part) in PLAIN_ITERATORS for part in parts)
        return list(zip(*map(copy.copy, parts), strict=False)) if plain else None
    if type(iterable) is type({}.items()):
        return list(iterable)
    values = _values(iterable)
    return None if values is None else list(values)
