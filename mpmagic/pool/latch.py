"""An event that happens once, safe to wait for in the main thread.

`threading.Event` and `Condition` are written in Python: a KeyboardInterrupt that strikes between
taking their lock and entering the `with` block leaves the lock taken for ever, and whoever sets the
event then hangs. A bare lock per waiter has no such gap: an interrupted waiter leaves behind a lock
that nobody else needs.
"""

from __future__ import annotations

import _thread
from collections import deque

__all__ = ["Latch"]

_LONGEST = 4e6  # seconds that a lock can be waited for, on any system


class Latch:
    """Closed at first, opened once, by any thread."""

    __slots__ = ("_gates", "_is_open")

    def __init__(self) -> None:
        self._is_open = False
        self._gates: deque[_thread.LockType] = deque()

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self) -> None:
        """Let every waiter through, now and from now on. Never blocks."""
        self._is_open = True
        while self._gates:
            try:
                gate = self._gates.popleft()
            except IndexError:  # another thread opens it at the same time
                return
            gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is open, `timeout` seconds at most; say whether it is."""
        if self._is_open:
            return True
        gate = _thread.allocate_lock()
        gate.acquire()
        self._gates.append(gate)
        # Opened between the first look and the append: that opener may not have seen our gate.
        if self._is_open:
            return True
        if timeout is not None:
            return gate.acquire(timeout=min(max(timeout, 0.0), _LONGEST)) or self._is_open
        # Not without a time limit: where a library has a handler for SIGINT that lets system calls
        # go on (SA_RESTART; Polars has one), such a wait goes on too, and Ctrl-C does nothing.
        while not gate.acquire(timeout=_LONGEST):
            pass
        return True
