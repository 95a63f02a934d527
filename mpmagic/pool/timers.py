"""Things to do later, for a loop that sleeps until the first of them."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable

__all__ = ["Timers"]


class Timers:
    """Callbacks with a time. None is ever cancelled: each looks whether it still applies."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        when = time.monotonic() + max(seconds, 0.0)
        heapq.heappush(self._heap, (when, next(self._order), callback))

    def pause(self) -> float | None:
        """Give the seconds until the next one is due; None if there is none."""
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - time.monotonic())

    def run_due(self) -> None:
        while self._heap and self._heap[0][0] <= time.monotonic():
            heapq.heappop(self._heap)[2]()
