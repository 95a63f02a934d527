"""What the iterations of a loop took when its cell ran last."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import Final

from mpmagic.run.log import Log

__all__ = ["Laps", "Past"]

_LOOPS: Final = 64
_ITERATIONS: Final = 10_000
"""Of a loop; those of longer ones are short, and even out."""

Key = tuple[str, int]
"""The text of a cell, and the number of the loop among its loops."""


class Laps:
    """Collects what a loop's iterations take, in seconds, while its chunks come back in order."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self._is_whole = True

    def take(self, log: Log, iterations: int) -> None:
        """Take into account what a chunk took."""
        if log.laps:
            self._seconds.extend(log.laps)
        elif log.timing.pid and len(self._seconds) <= _ITERATIONS:
            self._seconds.extend([log.timing.seconds / iterations] * iterations)
        else:  # kept by an earlier run, or too many
            self._is_whole = False

    @property
    def seconds(self) -> array[float] | None:
        """Of each iteration; None if that isn't known of all."""
        return self._seconds if self._is_whole and len(self._seconds) <= _ITERATIONS else None


class Past:
    """Remembers it, of the loops that ran last."""

    def __init__(self) -> None:
        self._loops: OrderedDict[Key, array[float]] = OrderedDict()

    def seconds(self, key: Key, iterations: int | None) -> array[float] | None:
        """What each iteration took; None if the loop hasn't run, or had another number of them."""
        known = self._loops.get(key)
        return known if known is not None and len(known) == iterations else None

    def remember(self, key: Key, laps: Laps) -> None:
        """Remember a loop that ran to its end."""
        if laps.seconds is None:
            return
        self._loops[key] = laps.seconds
        self._loops.move_to_end(key)
        if len(self._loops) > _LOOPS:
            self._loops.popitem(last=False)
