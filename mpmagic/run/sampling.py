"""Where the work spends its time, found by looking at it every now and then.

A thread of the worker's looks at the main thread's stack. Unlike tracing that costs next to nothing
and makes no line look slower than it is: functions that are called a million times least of all.
The thread gets its turn only when the work lets go of the interpreter, at the end of a call of
compiled code at the latest. So a sample counts for the time since the one before, not as one.
Python 3.14 doesn't let go at the end of such a call with keyword arguments: that one's time counts
for the next line that calls or repeats something.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, perf_counter_ns
from typing import Any, Final, NamedTuple

__all__ = ["Place", "Samples", "sampled"]

_SECONDS: Final = 0.002


class Place(NamedTuple):
    """A line of a function of the notebook's.

    Attributes
    ----------
    filename, function, line
        Where its code stands.
    """

    filename: str
    function: str
    line: int


Samples = dict[tuple[int, Place | None], float]
"""Seconds by the cell's line and, within what it calls, the notebook's innermost one."""


@contextmanager
def sampled(filename: str, namespace: dict[str, Any]) -> Iterator[Samples]:
    """While open, look where this thread is.

    Parameters
    ----------
    filename
        The cell's.
    namespace
        The globals of the notebook's functions.
    """
    samples: Samples = {}
    sampler = _Sampler(filename, namespace, samples)
    sampler.start()
    try:
        yield samples
    finally:
        sampler.stop()


class _Sampler:
    def __init__(self, filename: str, namespace: dict[str, Any], samples: Samples) -> None:
        self._filename, self._namespace, self._samples = filename, namespace, samples
        self._work = threading.get_ident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="mpmagic-sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        before = perf_counter()
        # The first one comes early or late, so that chunks too short for two are seen at all.
        pause = _SECONDS * (perf_counter_ns() // 100 % 1000) / 1000
        while not self._over.wait(pause):
            frame = sys._current_frames().get(self._work)
            now, pause = perf_counter(), _SECONDS
            place = self._place_of(frame)
            del frame
            if place is not None:
                self._samples[place] = self._samples.get(place, 0.0) + now - before
            before = now

    def _place_of(self, frame: types.FrameType | None) -> tuple[int, Place | None] | None:
        places: list[Place] = []  # innermost first
        while frame is not None:
            if frame.f_globals is self._namespace:
                code = frame.f_code
                places.append(Place(code.co_filename, code.co_name, frame.f_lineno))
            frame = frame.f_back
        if not places or places[-1].filename != self._filename:
            return None
        line = places.pop().line
        # A comprehension in the work is a function to Python 3.11, and a line to who wrote it.
        return line, next((p for p in places if not p.function.startswith("<")), None)
