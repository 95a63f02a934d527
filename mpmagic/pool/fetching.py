"""Fetching what workers have left in their memory, beside the supervisor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from mpmagic.pool.message import Distant, Done
from mpmagic.pool.parts import Room
from mpmagic.pool.remote import read_remote

__all__ = ["fetch"]


def fetch(pid: int, message: Done, tell: Callable[[list[Room] | None], None]) -> None:
    """Read a result, in a thread of its own: the worker's processor is free meanwhile.

    Parameters
    ----------
    pid : int
        The worker.
    message : Done
        Says what it has left, and where.
    tell : callable
        Is called, from whatever thread, with the buffers, or with None if they can't be read.
    """

    def read() -> None:
        tell(_read(pid, message))

    try:
        threading.Thread(target=read, name="mpmagic-fetch", daemon=True).start()
    except RuntimeError:  # no more threads in this process, or it is ending
        read()


def _read(pid: int, message: Done) -> list[Room] | None:
    assert message.seal is not None
    parts = [part for part in message.value.parts if isinstance(part, Distant)]
    try:
        return read_remote(pid, message.seal, parts)
    except (OSError, MemoryError) as error:
        logging.getLogger("mpmagic.pool").debug("a result isn't read in place: %s", error)
        return None
