"""The process that removes names of semaphores which are left behind, out of the kernel's group."""

from __future__ import annotations

import os
import signal
from multiprocessing import resource_tracker, spawn, util
from typing import Any

__all__ = ["tracker_apart"]


def tracker_apart() -> int:
    """Give the descriptor of the standard library's resource tracker; start it if it isn't there.

    It ignores SIGTERM. In the kernel's process group, whose processes ipykernel ends one after the
    other when it is shut down, it would keep the kernel waiting until the front end kills that.
    """
    tracker: Any = resource_tracker._resource_tracker
    with tracker._lock:
        if tracker._fd is None:
            _start(tracker)
    fd = resource_tracker.getfd()  # which starts another one if that has died
    assert fd is not None
    return fd


def _start(tracker: Any) -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(reader, True)
        executable = os.fsdecode(spawn.get_executable())
        flags = util._args_from_interpreter_flags()  # type: ignore[attr-defined]
        code = f"from multiprocessing.resource_tracker import main; main({reader})"
        # The mask keeps signals off until it ignores them, as in the standard library.
        tracker._pid = os.posix_spawn(
            executable,
            [executable, *flags, "-c", code],
            os.environ,
            setpgroup=0,
            setsigmask=(signal.SIGINT, signal.SIGTERM),
        )
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    tracker._fd = writer
