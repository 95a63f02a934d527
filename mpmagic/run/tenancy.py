"""Whose process the work runs in: its own, somebody else's, or the notebook's.

A worker of mpmagic's pool is the work's alone. In a worker of another executor other things may
go on beside it, and afterwards; in a thread of the kernel the notebook itself goes on. There the
streams, the loggers and the definitions of the notebook's classes are looked up by thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final, NoReturn

from mpmagic.errors import NotOnThreads

__all__ = ["Post", "Tenancy", "at_post", "post", "tenancy", "worker_number"]


_SHARED: Final = (
    "the work {}, which all threads of the notebook's process share. Use `--on processes`"
)


class Tenancy(Enum):
    """What a thread that runs work shares with others."""

    OWNER = "nothing: the process is the work's alone"
    GUEST = "the process of another executor's worker, where one chunk runs at a time"
    COMPANION = "the notebook's own process"


class Post:
    """A thread that runs work in a process that isn't the work's alone.

    Parameters
    ----------
    tenancy
        What it shares.

    Attributes
    ----------
    tables
        Classes of the notebook as this thread has them, for cloudpickle: by class, by identifier.
    refused
        What the work tried that can't be kept apart from others, in words.
    programs
        The programs that this thread has loaded, see `mpmagic.run.program`.
    filters, filters_before
        Of warnings, for this thread, and as it met them; None for those of the notebook.
    """

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.tables: dict[str, Any] = {}
        self.refused = ""
        self.programs: Any = None
        self.filters: list[Any] | None = None
        self.filters_before: list[Any] | None = None

    @property
    def complaint(self) -> str:
        """Why what the thread has done can't be kept; empty if it can."""
        if not self.refused and self.filters != self.filters_before:
            return _SHARED.format("leaves other filters of warnings behind")
        return self.refused

    def note(self, what: str) -> None:
        """Have the chunk end in an error, when it has ended."""
        self.refused = self.refused or _SHARED.format(what)

    def refuse(self, what: str) -> NoReturn:
        """End the chunk, whatever the work's own handlers make of that.

        Raises
        ------
        NotOnThreads
            Always.
        """
        self.note(what)
        raise NotOnThreads(self.refused)


class _Here(threading.local):
    post: Post | None = None


_here = _Here()


def post() -> Post | None:
    """The post of the present thread; None where it runs no work, or owns its process."""
    return _here.post


def tenancy() -> Tenancy:
    """What the present thread shares with others."""
    return Tenancy.OWNER if _here.post is None else _here.post.tenancy


def worker_number() -> int:
    """What tells this worker from the others: of its process, or of its thread."""
    return threading.get_native_id() if tenancy() is Tenancy.COMPANION else os.getpid()


@contextmanager
def at_post(own: Post | None) -> Iterator[None]:
    """While open, this thread is at that post; threads that it starts are, too."""
    before, _here.post = _here.post, own
    try:
        yield
    finally:
        _here.post = before
