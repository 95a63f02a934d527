"""mpmagic's own Executor: persistent processes that nothing can hang.

`Pool` is the executor. Inside a task, `report`, `drain_output`, `output_watch`, `mark`,
`start_clock`, `content_digest` and `throw_away` speak to the worker that runs it.
"""

from __future__ import annotations

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
