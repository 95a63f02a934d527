"""What an iterable shows of itself before an item is taken from it.

An inert one is a builtin container, or builtin iterators around such: taking its items runs no code
of the user's, and the containers can be looked into.
"""

from __future__ import annotations

import functools
import gc
import itertools
import operator
from collections.abc import Iterator
from typing import Any, Final

from mpmagic.run.watch import is_inert

__all__ = [
    "PLAIN_ITERATORS",
    "behind",
    "containers_of",
    "is_fed_meanwhile",
    "is_inert_iterable",
    "length_of",
    "modules_of",
]

_INERT_TYPES: Final = frozenset(
    {list, tuple, range, str, bytes, dict, set, frozenset, type({}.keys()), type({}.values()),
     type({}.items()), type(iter([])), type(iter(())), type(iter(range(1))), type(iter("")),
     type(iter({})), type(iter({}.values())), type(iter({}.items())), type(iter(set())),
     type(reversed([]))}
)  # fmt: skip

PLAIN_ITERATORS: Final[tuple[type, ...]] = (
    type(iter([])),
    type(iter(())),
    type(iter(range(0))),
    type(iter("")),
)
"""Types of iterators over sequences; several of them may be over one."""

_READABLE_AGAIN: Final = (list, tuple, str, bytes, dict, set, frozenset)
_LISTED: Final = 10_000
"""Items of a list whose types are looked at."""

_TRANSPARENT: Final = (enumerate, zip, reversed, itertools.chain, itertools.product,
                       itertools.combinations, itertools.permutations)  # fmt: skip


def length_of(iterable: Any) -> int | None:
    """How many items an iterable has; None if that can't be known."""
    kind = type(iterable)
    builtin = kind.__module__ in ("builtins", "collections", "numpy", "itertools")
    if not builtin:
        return None
    try:
        return len(iterable)
    except OverflowError:  # a range of more items than an index counts
        return None
    except TypeError:
        hint = operator.length_hint(iterable, -1)
        return None if hint < 0 else hint


def modules_of(iterable: Any) -> set[str]:
    """Names of the modules that the types of a list's items are from."""
    if type(iterable) not in (list, tuple) or len(iterable) > _LISTED:
        return set()
    return {str(type(item).__module__) for item in iterable}


def is_inert_iterable(iterable: Any) -> bool:
    """Whether taking items from an iterable runs no code of the user's."""
    kind = type(iterable)
    if kind in _INERT_TYPES:
        return True
    if isinstance(iterable, _TRANSPARENT):
        return all(
            is_inert_iterable(inner)
            for inner in _parts_of(iterable)
            if not is_inert(inner) and inner is not kind
        )
    return f"{kind.__module__}.{kind.__qualname__}" in ("numpy.ndarray",)


def is_fed_meanwhile(iterable: Any) -> bool:
    """Whether items come out of a queue, as of ``iter(queue.get, None)``: it isn't read ahead."""
    if type(iterable) is not _CALLING:
        return False
    function = iterable.__reduce__()[1][0]
    while isinstance(function, functools.partial):
        function = function.func
    owner = type(getattr(function, "__self__", None))
    return str(owner.__module__).partition(".")[0] in _OF_QUEUES


_CALLING: Final = type(iter(int, 1))
_OF_QUEUES: Final = {"queue", "_queue", "multiprocessing", "asyncio"}


def containers_of(iterable: Any) -> Iterator[Any]:
    """The containers from which an inert iterable takes its items, or parts of them."""
    if type(iterable) in _READABLE_AGAIN:
        yield iterable
    elif type(iterable) in _INERT_TYPES or isinstance(iterable, _TRANSPARENT):
        for inner in _parts_of(iterable):
            yield from containers_of(inner)


def _parts_of(iterable: Any) -> list[Any]:
    """What an iterable is made of."""
    if isinstance(iterable, zip | enumerate):
        parts: Any = iterable.__reduce__()[1]
        return list(parts[:1] if isinstance(iterable, enumerate) else parts)
    return [r for r in gc.get_referents(iterable) if not isinstance(r, str)]


def behind(iterator: Any) -> Any:
    """The sequence that a plain iterator is over; an empty one when it is exhausted."""
    return iterator.__reduce__()[1][0]
