"""What can be told of a pool and of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Phase", "WorkerState", "WorkerStatus"]


class Phase(Enum):
    """Where a pool is in its life."""

    OPEN = "takes tasks"
    CLOSING = "finishes the tasks that it has"
    LEAVING = "waits for its workers to leave"
    OVER = "done"


class WorkerState(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"  # told to give up its task; killed if it doesn't
    LEAVING = "leaving"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker at one moment.

    Attributes
    ----------
    pid : int
        Its process number; 0 while it starts.
    state : WorkerState
    label : str
        Of the task that it runs; empty if it runs none.
    since : float
        Seconds since the state began.
    done : int
        Tasks that it has finished.
    rss : int
        Bytes of memory that it has to itself.
    restarts : int
        How many workers died in this one's place before it.
    cpu : float
        Seconds of processor time that it has used.
    mark : int or None
        What its task noted last with `mpmagic.pool.mark`.
    """

    pid: int
    state: WorkerState
    label: str
    since: float
    done: int
    rss: int
    restarts: int
    cpu: float = 0.0
    mark: int | None = None
