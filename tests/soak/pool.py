"""Kill and interrupt workers at random while tasks run: `python -m tests.soak.pool SECONDS SEED`.

Invariants: every future resolves; results are right; at the end there is no child, thread or
descriptor more than before.
"""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from mpmagic.errors import WorkerDied
from mpmagic.pool import Parcel, Pool, TaskFuture
from tests.pool import tasks

_LONGEST = 30.0  # seconds within which every future has to resolve
_EXPECTED = (WorkerDied, KeyboardInterrupt)


class Soak:
    """One pool under fire."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pool = Pool(3)
        self.running: list[tuple[TaskFuture[Any], Any]] = []
        self.counts = {"right": 0, "died": 0, "interrupted": 0, "cancelled": 0}
        self.arrays = [np.full(200_000, i) for i in range(5)]

    def submit(self) -> None:
        number = self.random.randrange(1000)
        match self.random.randrange(6):
            case 0:
                task = (self.pool.submit(tasks.square, number), number**2)
            case 1:
                array = self.random.choice(self.arrays)
                task = (self.pool.submit(np.sum, array), array.sum())
            case 2:
                text = "x" * self.random.choice([10, 100_000, 2_000_000])
                task = (self.pool.submit(tasks.identity, text), text)
            case 3:  # so large that it is read where the worker has it
                size = self.random.choice([300_000, 1_000_000, 4_000_000])
                task = (self.pool.submit(np.arange, number, number + size), (number, size))
            case 4:
                delay = self.random.random() / 50
                task = (self.pool.submit(tasks.sleep, delay), None)
            case _:
                parcel = Parcel(b"%d" % (number % 7), list(range(number % 7)))
                task = (self.pool.submit(_length, parcel), number % 7)
        self.running.append(task)

    def fire(self) -> None:
        signum = self.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
        workers = [p for p in psutil.Process().children(recursive=True) if _is_worker(p)]
        if workers and self.random.random() < 0.9:
            victim = self.random.choice(workers)
            try:
                victim.send_signal(signum)
            except psutil.NoSuchProcess:
                return
        elif self.running:
            self.pool.interrupt([self.random.choice(self.running)[0]])

    def harvest(self, *, keep: int) -> None:
        while len(self.running) > keep:
            future, expected = self.running.pop(0)
            try:
                result = future.result(_LONGEST)
            except CancelledError:
                self.counts["cancelled"] += 1
            except WorkerDied:
                self.counts["died"] += 1
            except KeyboardInterrupt:
                self.counts["interrupted"] += 1
            else:
                assert _is_right(result, expected), (result, expected)
                self.counts["right"] += 1

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(self.random.randrange(1, 20)):
                self.submit()
            if self.random.random() < 0.3:
                self.fire()
            self.harvest(keep=self.random.randrange(40))
        self.harvest(keep=0)
        self.pool.shutdown()


def _is_right(result: Any, expected: Any) -> bool:
    if isinstance(result, np.ndarray):
        first, size = expected
        return np.array_equal(result, np.arange(first, first + size))
    return bool(result == expected)


def _length(parcel: Parcel) -> int:
    return len(parcel.payload)


def _is_worker(process: psutil.Process) -> bool:
    """Tell a worker from the fork server: its parent isn't this process."""
    try:
        return process.ppid() != psutil.Process().pid
    except psutil.NoSuchProcess:
        return False


def _possessions() -> tuple[int, int, int]:
    gc.collect()
    fds = list(Path("/proc/self/fd").iterdir())
    return len(psutil.Process().children()), threading.active_count(), len(fds)


def main(seconds: float = 60.0, seed: int = 0) -> None:
    """Soak for some seconds and say what happened."""
    before = _possessions()
    soak = Soak(seed)
    soak.run(seconds)
    counts = soak.counts
    del soak
    after = _possessions()
    print(f"seed {seed}, {seconds:g} s: {counts}; children, threads, descriptors {before} {after}")
    assert after == before


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((float, int), sys.argv[1:], strict=False)))
