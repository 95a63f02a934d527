"""What work does outside of its process, as far as Python's audit events tell.

They are raised where Python itself opens a file, starts a process, speaks to the network or maps
memory, in whichever way the work has come there; compiled libraries that do so by themselves raise
none (https://docs.python.org/3/library/audit_events.html). A hook can't be taken away again, and
takes 0.1 microseconds of each event: workers have it, the kernel doesn't.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import OrderedDict
from typing import Any, Final

from mpmagic.pool import in_worker

__all__ = ["acted_in", "leave_work", "next_run", "watch_work"]

_ACTING: Final = (
    "_thread.", "ctypes.", "fcntl.", "ftplib.", "http.", "imaplib.", "mmap.", "nntplib.", "os.",
    "poplib.", "pty.", "shutil.", "signal.", "smtplib.", "socket.", "sqlite3.", "subprocess.",
    "syslog.", "telnetlib.", "urllib.", "webbrowser.",
)  # fmt: skip
_HARMLESS: Final = frozenset(
    {"os.chdir", "os.fwalk", "os.getxattr", "os.listdir", "os.listxattr", "os.putenv",
     "os.scandir", "os.unsetenv", "os.walk"}
)  # fmt: skip
"""What reads, or changes the process alone, which is put back."""

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_IMPORTER: Final = "<frozen importlib."
_KEPT: Final = 8
_runs: Final = itertools.count()


class _Audit:
    """The hook, and what it has noted."""

    def __init__(self) -> None:
        self.is_there = False
        self.at: tuple[int, int] | None = None
        self._kinds: dict[str, bool] = {}
        self._acted: OrderedDict[int, set[int]] = OrderedDict()

    def begin(self, run: int, number: int) -> None:
        if not self.is_there:
            sys.addaudithook(self._hear)
            self.is_there = True
        self.at = run, number

    def acted_in(self, run: int) -> set[int]:
        return self._acted.get(run, set())

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        at = self.at
        if at is None:
            return
        acts = self._kinds.get(event)
        if acts is None:
            acts = self._kinds[event] = event not in _HARMLESS and (
                event in ("open", "exec") or event.startswith(_ACTING)
            )
        if acts and (event != "open" or _is_for_writing(args)) and not _is_import():
            self._acted.setdefault(at[0], set()).add(at[1])
            while len(self._acted) > _KEPT:
                self._acted.popitem(last=False)


_audit: Final = _Audit()


def next_run() -> int:
    """The number of a run of a loop, or of a group of calls, that no other in this process has."""
    return next(_runs)


def watch_work(run: int, number: int) -> None:
    """Note from now on what is done outside, in a worker.

    Parameters
    ----------
    run, number
        Of what: which run of a loop or of calls, and which of its iterations, or calls, is first.
    """
    if in_worker():
        _audit.begin(run, number)


def leave_work() -> None:
    """Note no more."""
    _audit.at = None


def acted_in(run: int) -> set[int]:
    """The numbers of those of a run that have done something outside."""
    return _audit.acted_in(run)


def _is_for_writing(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    if isinstance(mode, str) and not set(mode).isdisjoint("wax+"):
        return True
    return isinstance(flags, int) and bool(flags & _WRITING)


def _is_import() -> bool:
    """Whether a module is being imported: the notebook imports it, too."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTER):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
