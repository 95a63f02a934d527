"""Every error of mpmagic's own that a user can meet.

Errors of the user's code are never wrapped: they arrive as what they are. These say what
happened, to which line, name, file or item, and what to do next.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from mpmagic.cell.listing import Explanation

__all__ = [
    "ChangedMeanwhile",
    "EachFailed",
    "EndedBefore",
    "EngineError",
    "FileChanged",
    "IterationTimeout",
    "LostWrite",
    "MpmagicError",
    "NotOnThreads",
    "NotParallel",
    "TaskTimeout",
    "UnsendableValue",
    "WorkerDied",
]


class MpmagicError(Exception):
    """The base of all errors that mpmagic raises itself."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message says where; our own frames would only hide it."""
        return [f"{type(self).__name__}: {self}"]


class NotParallel(MpmagicError):
    """A cell can't be split under the promise; nothing of it ran.

    Attributes
    ----------
    explanation : Explanation or None
        The cell line by line, which the text spells out; None where one line says it all.
    """

    explanation: Explanation | None = None

    @classmethod
    def of(cls, explanation: Explanation) -> NotParallel:
        """Refuse with the listing of the cell."""
        error = cls(str(explanation))
        error.explanation = explanation
        return error


class EngineError(MpmagicError):
    """What `--on` names can't run the work; the message says why and what to do."""


class EachFailed(MpmagicError):
    """A cell of `--each` did in a worker what can't be kept, or failed when it was run again."""

    @classmethod
    def of(cls, what: str, pid: int) -> EachFailed:
        """Say what it did when it ran first."""
        return cls(f"the cell, in worker process {pid}, {what}. None of its names are kept.")

    @classmethod
    def again(cls, label: str, pid: int, error: BaseException) -> EachFailed:
        """Say what it raised in a new worker."""
        return cls(
            f"{label}, a cell of `--each`, raised {type(error).__name__}: {error} in worker "
            f"process {pid}, which has to run it before anything else. Run that cell again, or "
            f"`%mppool forget`."
        )


class NotOnThreads(MpmagicError):
    """The work did in a thread what can't be kept apart from the notebook's other threads."""


class LostWrite(MpmagicError):
    """The work changed something in a worker that the notebook would have kept."""


class FileChanged(MpmagicError, OSError):
    """A file that a loop reads is another one, or another text, than when the loop began."""


class ChangedMeanwhile(MpmagicError):
    """What a cell in the background has to do with was changed before its commits."""

    @classmethod
    def of(cls, changed: list[str], name: str) -> ChangedMeanwhile:
        """Say what was changed since the work of `name` began."""
        names = ", ".join(f"`{n}`" for n in changed)
        verb = "isn't what it was" if len(changed) == 1 else "aren't what they were"
        return cls(
            f"{names} {verb} when the work of `{name}` began; nothing of it is committed. "
            f"`{name}.commit(anyway=True)` commits what was computed with the former values, and "
            f"running the cell again computes it anew"
        )


class EndedBefore(MpmagicError, RuntimeError):
    """A cell in the background was committed or cancelled before."""


class UnsendableValue(MpmagicError):
    """A value that has to travel between the kernel and a worker can't be pickled."""


class TaskTimeout(MpmagicError, TimeoutError):
    """A task ran longer than it may; its worker was interrupted, or replaced."""

    @classmethod
    def of(cls, label: str, seconds: float | None) -> TaskTimeout:
        """Name the task and its limit."""
        return cls(
            f"{label or 'a task'} ran longer than its limit of {seconds} s and was stopped; "
            f"the other tasks go on. Raise the limit, or give it less to do."
        )


class IterationTimeout(TaskTimeout):
    """An iteration of a loop ran longer than `--timeout` allows."""

    @classmethod
    def of_iteration(cls, what: str, line: int, seconds: float, tries: int) -> IterationTimeout:
        """Name the iteration, its loop and the limit."""
        again = f" each time of {tries}" if tries > 1 else ""
        return cls(
            f"{what}, of the loop in line {line}, ran longer than its limit of {seconds:g} s"
            f"{again} and was stopped. Raise the limit with `--timeout`, or give it less to do."
        )


class WorkerDied(MpmagicError, BrokenProcessPool):
    """A worker process ended in the middle of a task; the pool has replaced it.

    Derives from `BrokenProcessPool`, so that code written for the standard library's pool
    catches it; unlike there, the pool stays usable.

    Attributes
    ----------
    pid : int
        Its process number.
    label : str
        What it was doing.
    peak : int
        Bytes of memory that it used at most; 0 if unknown.
    mark : int or None
        What the task noted last with `mpmagic.pool.mark`.
    """

    pid: int = 0
    label: str = ""
    peak: int = 0
    mark: int | None = None

    @classmethod
    def of(cls, *, pid: int, how: str, label: str, peak: int, mark: int | None) -> WorkerDied:
        """Say how it ended; `how` is a verb's phrase."""
        memory = f"; its memory was {peak / 2**20:,.0f} MB at most" if peak else ""
        hint = _HINTS.get(how.rpartition(" ")[2], "")
        error = cls(
            f"worker process {pid} {how} while it ran {label or 'a task'}{memory}.{hint} "
            f"The worker is replaced, and the pool can be used at once."
        )
        error.pid, error.label, error.peak, error.mark = pid, label, peak, mark
        return error


_HINTS = {
    "SIGKILL": " The system kills so when memory runs out.",
    "SIGSEGV": " That is a fault in compiled code.",
    "SIGABRT": " Compiled code gave up, often for want of memory.",
}


class RemoteError(MpmagicError):
    """An exception of the work whose class can't be pickled: its type's name and its text."""

    @property
    def _render_traceback_(self) -> NoReturn:
        """Nothing of its own: the frames are those of the user's exception."""
        raise AttributeError
