"""mpmagic's own Executor: persistent processes that nothing can hang.

`Pool` is the executor. Inside a task, `report`, `drain_output`, `output_watch`, `mark`,
`start_clock`, `content_digest` and `throw_away` speak to the worker that runs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpmagic.pool.context import (
        content_digest,
        drain_output,
        in_worker,
        is_interrupt,
        mark,
        output_watch,
        report,
        start_clock,
        throw_away,
    )
    from mpmagic.pool.cpus import cpu_count
    from mpmagic.pool.executor import Pool
    from mpmagic.pool.future import TaskFuture
    from mpmagic.pool.parcel import Parcel
    from mpmagic.pool.status import WorkerState, WorkerStatus

__all__ = [
    "Parcel",
    "Pool",
    "TaskFuture",
    "WorkerState",
    "WorkerStatus",
    "content_digest",
    "cpu_count",
    "drain_output",
    "in_worker",
    "is_interrupt",
    "mark",
    "output_watch",
    "report",
    "start_clock",
    "throw_away",
]

_HOMES = {
    "Parcel": "parcel",
    "Pool": "executor",
    "TaskFuture": "future",
    "WorkerState": "status",
    "WorkerStatus": "status",
    "cpu_count": "cpus",
}
"""Modules of names; all others are what a task says to its worker."""


def __getattr__(name: str) -> Any:
    # What workers are forked from imports this package, and needs next to nothing of it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'context')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
