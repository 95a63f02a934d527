"""Counting the lines of anything, at the speed of memory.

Importing this package is cheap: what counts is loaded by the first count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpmagic.count.counting import count_lines
    from mpmagic.count.counts import Counts
    from mpmagic.count.lines import Lines
    from mpmagic.count.record import CountInterrupted, FileCount, Status

__all__ = ["CountInterrupted", "Counts", "FileCount", "Lines", "Status", "count_lines"]

_HOMES = {
    "CountInterrupted": "mpmagic.count.record",
    "Counts": "mpmagic.count.counts",
    "FileCount": "mpmagic.count.record",
    "Lines": "mpmagic.count.lines",
    "Status": "mpmagic.count.record",
    "count_lines": "mpmagic.count.counting",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
