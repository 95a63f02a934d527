"""Items of which one part is changed by the commits and another is read by the work.

``for row, column in zip(m, m.T): row += column``: both are views of one memory, and the work would
read ahead what earlier commits have yet to change.
"""

from __future__ import annotations

import ast
import copy
import itertools
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from mpmagic.run.iterables import PLAIN_ITERATORS, is_inert_iterable
from mpmagic.run.reachable import Reachable
from mpmagic.run.staying import parts_of
from mpmagic.run.watch import is_inert

__all__ = ["may_overlap"]

_MOST_PAIRS: Final = 100_000
"""Pairs of arrays that are compared: a few hundredths of a second."""


def may_overlap(target: ast.expr, iterable: Any, first: Any, changed: Collection[str]) -> bool:
    """Whether what some names of a loop's target lead to may be what others lead to.

    Parameters
    ----------
    target
        The loop's target.
    iterable
        What the loop iterates over; its first item may have been taken.
    first
        That item.
    changed
        The names whose values are changed.
    """
    others = [value for name, value in parts_of(target, first) if name not in changed]
    if all(map(is_inert, others)):
        return False  # as those of the other items are taken to be
    items = _again(iterable)
    pairs = [pair for item in (first, *(items or ())) for pair in parts_of(target, item)]
    one, other = ([v for n, v in pairs if (n in changed) is wanted] for wanted in (True, False))
    if items is None and not set(map(type, one)).isdisjoint(map(type, other)):
        return True
    return _meet(Reachable(one, deep=True), Reachable(other, deep=True))


def _again(iterable: Any) -> Iterable[Any] | None:
    """The items once more; None if taking them would run the user's code, or use them up."""
    if isinstance(iterable, zip | enumerate):
        given = iterable.__reduce__()[1]
        inner = given[:1] if isinstance(iterable, enumerate) else given
        if all(type(one) in PLAIN_ITERATORS or _is_of_array(one) for one in inner):
            copies: Iterator[Any] = zip(*map(copy.copy, inner), strict=False)
            return enumerate(c[0] for c in copies) if isinstance(iterable, enumerate) else copies
        return None
    return iterable if is_inert_iterable(iterable) and iter(iterable) is not iterable else None


def _is_of_array(iterator: Any) -> bool:
    """Whether it's an iterator over an array of numpy's, by its positions."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(iterator) is not type(iter(numpy.zeros(0))):
        return False
    return any(isinstance(part, numpy.ndarray) for part in iterator.__reduce__()[1])


def _meet(one: Reachable, other: Reachable) -> bool:
    owners = {id(array) for a in (*one.arrays, *other.arrays) for array in _with_bases(a)}
    if not (one.ids & other.ids) <= owners:
        return True
    if one.buffers or other.buffers:
        return bool(one.buffers and other.arrays) or bool(other.buffers and one.arrays)
    if len(one.arrays) * len(other.arrays) > _MOST_PAIRS:
        return bool(one.ids & other.ids)
    share: Any = sys.modules["numpy"].may_share_memory if one.arrays else None
    return any(share(a, b) for a, b in itertools.product(_shown(one), _shown(other)))


def _shown(reached: Reachable) -> list[Any]:
    """The arrays themselves, without those whose memory they merely show."""
    bases = {id(array.base) for array in reached.arrays}
    return [array for array in reached.arrays if id(array) not in bases]


def _with_bases(array: Any) -> Iterator[Any]:
    while array is not None and hasattr(array, "base"):
        yield array
        array = array.base
