"""What a task may ask of the worker that it runs in."""

from __future__ import annotations

import dis
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mpmagic.pool.worker import Worker

__all__ = [
    "content_digest",
    "current_worker",
    "drain_output",
    "explain_memory",
    "in_worker",
    "is_interrupt",
    "mark",
    "output_watch",
    "report",
    "start_clock",
    "throw_away",
]

_RAISE: Final = dis.opmap["RAISE_VARARGS"]

_worker: Worker | None = None


def set_worker(worker: Worker | None) -> None:
    """Say that this process is a worker, or that it isn't one any more."""
    global _worker
    _worker = worker


def current_worker() -> Worker:
    """Give this process's worker.

    Raises
    ------
    RuntimeError
        If this process isn't a worker of an `mpmagic.Pool`.
    """
    if _worker is None:
        raise RuntimeError(
            "this works inside a task of an mpmagic.Pool only: this process isn't one of its "
            "workers (mpmagic.pool.in_worker() tells)"
        )
    return _worker


def in_worker() -> bool:
    """Say whether this process is a worker of an `mpmagic.Pool`."""
    return _worker is not None


def is_interrupt(error: BaseException) -> bool:
    """Say whether an exception is that of a task that was interrupted, not raised by its code.

    Parameters
    ----------
    error : BaseException
        Caught from the task's code. A worker knows whether it was interrupted. Elsewhere the
        innermost frame tells: an interrupt strikes between any two instructions, where code of
        the task's own stands at a ``raise``.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    if _worker is not None:
        return _worker.was_interrupted
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return tb is None or tb.tb_frame.f_code.co_code[tb.tb_lasti] != _RAISE


def explain_memory(error: BaseException) -> None:
    """Add to a MemoryError how much the worker that raised it may have, if that is limited."""
    if _worker is not None and isinstance(error, MemoryError):
        _worker.limit.explain(error)


def report(value: Any) -> None:
    """Send a value to the kernel while the task goes on.

    Parameters
    ----------
    value : object
        Reaches the `on_report` that the task was dispatched with, in order.

    Raises
    ------
    RuntimeError
        If no task runs in this process.
    """
    current_worker().report(value)


def start_clock() -> None:
    """Let the task's time limit count from now on, if it was dispatched as `clocked`.

    Whatever came before, such as the import of a library, isn't the work's.
    """
    current_worker().start_clock()


def drain_output() -> list[tuple[str, str]]:
    """Take what the task has written to stdout and stderr since the last time.

    Returns
    -------
    list of (str, str)
        Pieces of text in the order of writing, each with "stdout" or "stderr": what was printed,
        and what was written to descriptors 1 and 2 by C code or child processes. The pool won't
        show them. It shows text of a running task now and then; a task that wants all of its own
        calls this first of all, and from then on the pool shows only what is left at the end.
    """
    capture = current_worker().capture
    capture.is_live = False
    return list(capture.take()) if capture.may_have_text() else []


def output_watch() -> Callable[[], bool]:
    """Give a call that says whether `drain_output` may have something to take.

    Returns
    -------
    callable
        Takes a tenth of a microsecond, and asks the system nothing.
    """
    return current_worker().capture.may_have_text


def mark(number: int) -> None:
    """Note how far the task has come, where it survives the death of this process.

    Parameters
    ----------
    number : int
        Not negative; `WorkerDied.mark` has the last one. Takes well under a microsecond.
    """
    current_worker().mark(number)


def content_digest(buffer: memoryview) -> bytes:
    """Give a digest of a buffer's content; what this worker was sent needn't be read for it.

    Parameters
    ----------
    buffer : memoryview
        Contiguous.

    Returns
    -------
    bytes
        16 of them, the same for equal content.
    """
    from mpmagic.pool.content import content_key

    key = None if _worker is None else _worker.stock.untouched.key(buffer)
    return content_key([buffer]) if key is None else key


def throw_away(key: bytes) -> None:
    """Drop a parcel that this worker holds; a task that needs it again gets a new copy."""
    current_worker().stock.throw_away(key)
