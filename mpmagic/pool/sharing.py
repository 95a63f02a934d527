"""Work that several threads share out among themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["share"]


def share(
    work: Callable[[], object], *, helpers: int, own: Callable[[], object] | None = None
) -> None:
    """Do some work in this thread and in others; returns when all have done theirs.

    If this thread's raises, or is interrupted, the others are left to themselves.

    Parameters
    ----------
    work : callable
        Takes piece after piece, from an iterator that all have: each piece is taken by one thread.
    helpers : int
        How many other threads do it.
    own : callable, optional
        What this thread does instead.
    """
    # Not a context manager: an interrupt would have its generator keep what the work holds.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    (own or work)()
    for thread in threads:
        thread.join()
