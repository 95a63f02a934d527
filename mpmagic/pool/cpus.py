"""How many cores this process may really use, the thread caps that follow, and what is used."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

__all__ = ["THREAD_VARIABLES", "cpu_count", "cpu_used", "thread_caps"]

# Read once by each library when it is imported, so they have to be set before.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",  # OpenMP: scikit-learn, PyTorch, and Arrow's CPU pool
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "ARROW_IO_THREADS",
)


def cpu_count() -> int:
    """Count the cores that this process may use.

    Returns
    -------
    int
        At least 1: the smaller of the processor affinity and the cgroup's CPU quota (version 1
        or 2), rounded up. `os.cpu_count()` knows neither, and starts 64 workers in a container
        that may use 2 cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([cores or 1, *(math.ceil(q) for q in _quotas())]))


def cpu_used(pid: int) -> float:
    """Read how many seconds of processor time a process has used; 0 if that can't be told."""
    times = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if not times:  # it is gone, or there is no /proc
        return 0.0
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def thread_caps(
    workers: int, environ: Mapping[str, str], *, threads: int | None = None
) -> dict[str, str]:
    """Give the variables that keep `workers` processes from starting more threads than cores.

    What `environ` already sets is the user's decision and isn't in the answer. With `threads`
    each gets so many.
    """
    share = str(threads or max(1, cpu_count() // max(1, workers)))
    return {name: share for name in THREAD_VARIABLES if name not in environ}


def _quotas(root: str = "/") -> Iterator[float]:
    """Yield the quota, in cores, of each cgroup that this process is in."""
    for line in _read(Path(root, "proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            yield from _quotas_of_v2(Path(root, "sys/fs/cgroup"), group)
        elif "cpu" in controllers.split(","):
            yield from _quotas_of_v1(Path(root, "sys/fs/cgroup/cpu"), group)


def _quotas_of_v2(mount: Path, group: str) -> Iterator[float]:
    for folder in _lineage(mount, group):
        quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _quotas_of_v1(mount: Path, group: str) -> Iterator[float]:
    for folder in _lineage(mount, group):
        quota = _read(folder / "cpu.cfs_quota_us").strip()
        period = _read(folder / "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _lineage(mount: Path, group: str) -> Iterator[Path]:
    """Yield the folder of `group` and those above it: a parent's limit binds as well.

    In a container the path is often the host's while the mount is the container's own, so the
    mount itself is always among them.
    """
    path = PurePosixPath(group)
    for part in (path, *path.parents):
        yield mount / str(part).lstrip("/")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # no such controller, or not Linux
        return ""
