"""The ends of a pool that nobody shut down: garbage, the interpreter's exit, a fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpmagic.pool.executor import Pool
    from mpmagic.pool.supervisor import Supervisor

__all__ = ["guard", "is_over", "release"]

_guarded: dict[int, tuple[Supervisor, bool]] = {}
_hooks = threading.Lock()
_is_over = False


def guard(pool: Pool, supervisor: Supervisor, *, daemon: bool) -> None:
    """See to it that the supervisor ends when its pool does.

    Parameters
    ----------
    pool : Pool
        When it becomes garbage, the supervisor finishes its tasks and leaves.
    supervisor : Supervisor
    daemon : bool
        Whether, at the end of the interpreter, its tasks are killed instead of finished.
    """
    _install_hooks()
    key = id(supervisor)
    _guarded[key] = (supervisor, daemon)
    finalizer = weakref.finalize(pool, _abandon, key, os.getpid())
    finalizer.atexit = False  # _at_exit does that, in the right order


def is_over() -> bool:
    """Say whether the interpreter is on its way out."""
    return _is_over


def release(supervisor: Supervisor) -> None:
    """Forget a supervisor that has ended."""
    _guarded.pop(id(supervisor), None)


def _abandon(key: int, pid: int) -> None:
    entry = _guarded.get(key)
    if entry is None or os.getpid() != pid:
        return
    supervisor, _ = entry
    if supervisor.is_in_use:
        supervisor.tell(supervisor.shut_down)  # and stays guarded until it has done its tasks
    else:
        release(supervisor)


def _at_exit(pid: int) -> None:
    """Shut all pools down, before the interpreter joins their threads."""
    global _is_over
    if os.getpid() != pid:
        return
    _is_over = True
    in_use = [(s, daemon) for s, daemon in _guarded.values() if s.is_in_use]
    for supervisor, daemon in in_use:
        supervisor.tell(supervisor.abandon if daemon else supervisor.shut_down)
    for supervisor, _ in in_use:
        # The interpreter joins threads too, but only those that have started by now.
        supervisor.join()


def _after_fork() -> None:
    """Forget all pools in a child of this process: they are still the parent's."""
    for supervisor, _ in _guarded.values():
        supervisor.forsake()
    _guarded.clear()
    if _hooks.locked():
        _hooks.release()  # the hooks at exit know the parent's number: new pools need new ones


def _install_hooks() -> None:
    # Once per process; a lock that is never waited for can't be left locked by an interrupt.
    if not _hooks.acquire(blocking=False):
        return
    # Like the standard library's executors: before the threads are joined. atexit is too late.
    threading._register_atexit(_at_exit, os.getpid())  # type: ignore[attr-defined]
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
