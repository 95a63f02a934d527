"""Work that several threads share out among themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

from mpmagic.pool.cpus import cpu_count

__all__ = ["processors", "share"]


@cache
def processors() -> int:
    """Count those that may share work; once, for to look it up takes 50 µs."""
    return cpu_count()


def share(work: Callable[[], object], *, helpers: int) -> None:
    """Do some work in this thread and in others; returns when all have done theirs.

    If this thread's raises, or is interrupted, the others are left to themselves.

    Parameters
    ----------
    work : callable
        Takes piece after piece, from an iterator that all have: each piece is taken by one thread.
    helpers : int
        How many other threads do it.
    """
    # Not a context manager: an interrupt would have its generator keep what the work holds.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
