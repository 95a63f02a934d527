"""Probes that needn't run: what a commit evaluates before the worker's operands.

In ``groups[k].append(f(x))`` a missing key raises before `f` is called, so the log says where the
kernel has to look. Where the work has neither raised nor written anything in between, the commit
itself looks as well.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

__all__ = ["without_idle"]

_Events = list[tuple[Any, ...]]


def without_idle(events: _Events, probes: Collection[int]) -> _Events:
    """The events but for the probes that a commit follows at once.

    Parameters
    ----------
    events
        Those of a log.
    probes
        The probes' sites.
    """
    if not probes:
        return events
    kept: _Events = []
    calm = True
    for event in reversed(events):
        if (code := event[0]) not in probes:
            calm = code >= 0
        elif calm:
            continue
        kept.append(event)
    kept.reverse()
    return kept
