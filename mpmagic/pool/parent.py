"""Dying with one's parent, however the parent dies."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Callable

__all__ = ["die_with_parent", "parent_guard"]

_PR_SET_PDEATHSIG = 1


def parent_guard() -> Callable[[int], None]:
    """Prepare `die_with_parent`, so that it costs next to nothing after a fork."""
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl

        def guard(parent: int) -> None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            # It may have died before the line above, and then no signal comes.
            if os.getppid() != parent:
                os._exit(1)

        return guard
    return _watch_in_a_thread


def die_with_parent(parent: int) -> None:
    """Make the system kill this process when the thread that created it ends.

    Parameters
    ----------
    parent : int
        The process that must be the parent; this one exits at once if it no longer is.
    """
    parent_guard()(parent)


def _watch_in_a_thread(parent: int) -> None:
    """Do the same where the system doesn't offer it; C code that keeps the GIL delays it."""

    def watch() -> None:
        queue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
        event = select.kevent(  # type: ignore[attr-defined,unused-ignore]
            parent,
            filter=select.KQ_FILTER_PROC,  # type: ignore[attr-defined,unused-ignore]
            flags=select.KQ_EV_ADD,  # type: ignore[attr-defined,unused-ignore]
            fflags=select.KQ_NOTE_EXIT,  # type: ignore[attr-defined,unused-ignore]
        )
        with contextlib.suppress(ProcessLookupError):  # gone already
            queue.control([event], 1, None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="mpmagic-parent").start()
    if os.getppid() != parent:
        os._exit(1)
