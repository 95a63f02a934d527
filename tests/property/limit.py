"""A limit on time: a cell that was cut too far may loop forever."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

AGAIN = 0.5
"""Seconds between interrupts: what catches the first meets another."""


class OutOfTime(Exception):
    """The limit is over."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Interrupt the main thread after `seconds`, as an impatient user does.

    The shell catches an interrupt of its cell, and what ran the cell goes on with what that left:
    so the end of the block says it once more.

    Raises
    ------
    OutOfTime
        If the block took longer, whatever it made of the interrupt.
    """
    over = False

    def interrupt(*_: Any) -> None:
        nonlocal over
        over = True
        signal.raise_signal(signal.SIGINT)  # a cell that runs has a handler of its own for it

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    except KeyboardInterrupt:
        if not over:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if over:
        raise OutOfTime
