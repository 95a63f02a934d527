"""The options of a pool, checked and completed."""

from __future__ import annotations

import os
import random
from typing import Any

from mpmagic.pool import context
from mpmagic.pool.cpus import cpu_count

__all__ = ["budget", "checked_workers", "hash_seed", "method", "not_negative", "positive"]


def checked_workers(count: int | None) -> int:
    """Give how many workers there may be."""
    if count is None:
        # A pool inside a worker: the cores are taken by the others.
        return 1 if context.in_worker() else cpu_count()
    if count <= 0:
        raise ValueError("max_workers must be greater than 0")
    return count


def positive(name: str, number: Any) -> Any:
    """Give the number back; raise ValueError if it is neither None nor greater than 0."""
    if number is not None and not number > 0:
        raise ValueError(f"{name} must be greater than 0, not {number!r}")
    return number


def not_negative(name: str, number: int) -> int:
    """Give the number back; raise ValueError if it is less than 0."""
    if number < 0:
        raise ValueError(f"{name} must not be negative, and is {number!r}")
    return number


def method(mp_context: Any) -> str:
    """Give "forkserver" or "spawn" for what multiprocessing calls a context."""
    if mp_context is None:
        return "forkserver" if hasattr(os, "fork") else "spawn"
    name = mp_context if isinstance(mp_context, str) else mp_context.get_start_method()
    if name not in ("fork", "forkserver", "spawn"):
        raise ValueError(f"mp_context must be 'forkserver' or 'spawn', not {name!r}")
    return "spawn" if name == "spawn" else "forkserver"


def hash_seed() -> str:
    """Give the PYTHONHASHSEED of all workers: the kernel's, or else one for them all."""
    seed = os.environ.get("PYTHONHASHSEED", "random")
    return seed if seed != "random" else str(random.SystemRandom().randrange(1, 1 << 32))


def budget() -> int:
    """Let each worker hold up to a quarter of the machine's memory; it is shared among them."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    except (ValueError, OSError):
        return 1 << 31
