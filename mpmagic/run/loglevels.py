"""Levels of loggers that the work has set: functions do so to be heard, each time anew.

The work's records come to the kernel as they were let through; the levels follow, so that what is
logged after the loop is let through as after the serial loop.
"""

from __future__ import annotations

import sys
from typing import Any

from mpmagic.run.log import LEVELS
from mpmagic.run.settings import LOG_LEVELS
from mpmagic.run.tenancy import Tenancy, tenancy

__all__ = ["LevelWatch", "set_again"]


class LevelWatch:
    """Sees which levels are set from its making on; in the kernel's own process there's no need."""

    def __init__(self) -> None:
        self._modules = len(sys.modules)
        self._before = None if tenancy() is Tenancy.COMPANION else LOG_LEVELS.read()

    def note(self, events: list[tuple[Any, ...]]) -> None:
        """Put them at the head of a log, as `mpmagic.run.signals` does.

        A library that is imported sets the levels of its own loggers, and the kernel has them as
        it wants them: after an import nothing can be told.
        """
        before, now = self._before, LOG_LEVELS.read()
        if before is not None and now != before and len(sys.modules) == self._modules:
            changed = dict(now[1].items() - before[1].items())
            events.insert(0, (LEVELS, now[0] if now[0] != before[0] else None, changed))


def set_again(event: tuple[Any, ...]) -> None:
    """Set the levels of an event in this process."""
    disabled, levels = LOG_LEVELS.read()
    wanted = disabled if event[1] is None else event[1]
    LOG_LEVELS.change((disabled, levels), (wanted, event[2]))
