"""Signals to a worker and everything that it started."""

from __future__ import annotations

import contextlib
import os

__all__ = ["signal_group"]


def signal_group(pid: int, signum: int) -> None:
    """Signal the process group that `pid` leads.

    Parameters
    ----------
    pid : int
        A child of this process that it has not waited for yet: only then is the number its own.
    signum : int
        The signal.
    """
    try:
        os.killpg(pid, signum)
    except (ProcessLookupError, PermissionError):
        # It hasn't made its group yet, or, on macOS, all of the group are dead already.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
