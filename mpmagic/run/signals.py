"""Signals of decimal arithmetic: an inexact result sets a flag, which stays set.

The context belongs to the process. What the work's arithmetic signalled in a worker, the notebook's
context shows too.
"""

from __future__ import annotations

import decimal
from typing import Any

from mpmagic.run.log import SIGNALS

__all__ = ["SignalWatch", "signal_again"]


class SignalWatch:
    """Sees which flags are set from its making on."""

    def __init__(self) -> None:
        self._before = _flags()

    def note(self, events: list[tuple[Any, ...]]) -> None:
        """Put the new ones at the head of a log: a chunk's end isn't reached by all that stop."""
        if new := _flags() - self._before:
            events.insert(0, (SIGNALS, new))


def signal_again(event: tuple[Any, ...]) -> None:
    """Set the flags of an event in this process's context."""
    decimal.getcontext().flags.update(dict.fromkeys(event[1], True))


def _flags() -> set[type[decimal.DecimalException]]:
    return {signal for signal, is_set in decimal.getcontext().flags.items() if is_set}
