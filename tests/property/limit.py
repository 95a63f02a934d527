"""A limit on time: a cell that was cut too far may loop forever."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

AGAIN = 1.0
"""Seconds between interrupts: what catches the first meets another. A pool needs half of one."""


class OutOfTime(KeyboardInterrupt):
    """The limit is over."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Interrupt the main thread after `seconds`, as an impatient user does, then by force.

    A loop that runs answers the interrupt once its workers are free again; work that runs in this
    very thread never lets it. The shell catches what its cell raises, and whoever ran the cell
    goes on with what it left: so the end of the block says it once more.

    Raises
    ------
    OutOfTime
        If the block took longer, whatever it made of the interrupt.
    """
    over = False

    def interrupt(*_: Any) -> None:
        nonlocal over
        if over:
            raise OutOfTime
        over = True
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        with _lost_interrupts_untold():
            yield
    except KeyboardInterrupt:
        if not over:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if over:
        raise OutOfTime


@contextlib.contextmanager
def _lost_interrupts_untold() -> Iterator[None]:
    """Don't report an interrupt that nothing could catch: the next one comes anyway.

    One that hits a finaliser or a callback of the garbage collector goes to Python's hook for
    such exceptions, where pytest makes a failure of it.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
