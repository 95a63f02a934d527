"""Queues that carry what the notebook defines."""

from __future__ import annotations

from multiprocessing import queues
from typing import Any

from mpmagic.mp.pickling import carried

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


class Queue(queues.Queue):  # type: ignore[type-arg]
    """`multiprocessing.Queue`, for objects, classes and functions of the notebook too."""

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(carried(obj), block, timeout)


class JoinableQueue(queues.JoinableQueue):  # type: ignore[type-arg]
    """`multiprocessing.JoinableQueue`, for objects, classes and functions of the notebook too."""

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(carried(obj), block, timeout)


class SimpleQueue(queues.SimpleQueue):  # type: ignore[type-arg]
    """`multiprocessing.SimpleQueue`, for objects, classes and functions of the notebook too."""

    def put(self, obj: Any) -> None:
        super().put(carried(obj))
