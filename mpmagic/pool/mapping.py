"""What `Pool.map` is made of."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mpmagic.pool.future import TaskFuture

__all__ = ["batched", "call_each", "check_map_options", "results"]

T = TypeVar("T")


def check_map_options(chunksize: int, buffersize: int | None) -> None:
    """Refuse what makes no sense, in the words of the standard library."""
    if chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None and not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or > 0")


def call_each(fn: Callable[..., T], chunk: tuple[tuple[object, ...], ...]) -> list[T]:
    """Call a function with each item of a chunk; this is what the worker runs."""
    return [fn(*args) for args in chunk]


def results(
    ahead: deque[TaskFuture[list[T]]], more: Iterator[TaskFuture[list[T]]], end: float | None
) -> Iterator[T]:
    """Yield the results in order, with as many tasks ahead as there are at the beginning."""
    try:
        while ahead:
            # Submit before waiting, so that the workers have something to do meanwhile.
            ahead.extend(itertools.islice(more, 1))
            values = ahead.popleft().result(None if end is None else end - time.monotonic())
            values.reverse()
            while values:
                yield values.pop()
    finally:
        for future in ahead:
            future.cancel()


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cut items into tuples of `size`; the last may be shorter."""
    iterator = iter(items)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
