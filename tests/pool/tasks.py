"""Functions that the tests have workers call. Workers import this module by name."""

from __future__ import annotations

import collections
import ctypes
import itertools
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import mpmagic.pool
from mpmagic.pool import Parcel, content_digest
from mpmagic.pool.context import current_worker


def square(x: int) -> int:
    return x * x


def pid(*_: Any) -> int:
    return os.getpid()


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def divide(a: int, b: int) -> float:
    return a / b


def identity(x: Any) -> Any:
    return x


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def spin() -> None:
    while True:
        pass


def ignore_interrupts(path: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Path(path).touch()
    while True:
        time.sleep(60)


def touch_and_sleep(path: str, seconds: float = 60) -> str:
    Path(path).write_text(str(os.getpid()))
    time.sleep(seconds)
    return path


def touch_and_spin(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    spin()


def finalise_and_spin(path: str) -> None:
    """Spin in what no exception gets out of, then outside of it."""

    class Slow:
        def __del__(self) -> None:
            Path(path).write_text(str(os.getpid()))
            spin()

    Slow()
    spin()


def hold_the_gil(path: str) -> None:
    """Work in C, without letting go of the GIL or looking for signals; make a folder first."""
    steps = itertools.chain(map(os.mkdir, [path]), itertools.repeat(None))
    collections.deque(steps, maxlen=0)  # one call, so whoever sees the folder knows that it runs


def start_child_and_sleep(path: str) -> None:
    import subprocess

    child = subprocess.Popen(["sleep", "1000"])
    Path(path).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)


def set_variable(name: str, value: str) -> None:
    os.environ[name] = value


def kill_self(signum: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), signum)
    time.sleep(60)


def leave(code: int) -> None:
    os._exit(code)


def leave_by_libc(code: int) -> None:
    ctypes.CDLL(None).exit(code)


def leave_by_python(code: int) -> None:
    sys.exit(code)


def report_all(values: list[Any]) -> int:
    for value in values:
        mpmagic.pool.report(value)
    return len(values)


def mark_and_die(number: int) -> None:
    mpmagic.pool.mark(number)
    kill_self()


def spin_with_clock(path: str) -> None:
    """Say that the time counts, and never end."""
    mpmagic.pool.start_clock()
    touch_and_spin(path)


def echo_and_die() -> None:
    os.system("echo last words")
    os.kill(os.getpid(), signal.SIGKILL)


def mapping_of(values: Any) -> list[str]:
    """Say what an array's memory is: its rights, offset, device, file number and file."""
    address = values.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if int(start, 16) <= address < int(end, 16):
            return line.split(maxsplit=5)[1:]
    raise LookupError("it's mapped nowhere")


def known_content(parcel: Parcel, value: float | None = None) -> tuple[bytes | None, bytes]:
    """What is known of an array's content without reading it, and the digest of it.

    Before that a value may be stored at its beginning.
    """
    array = parcel.payload
    if value is not None:
        array[0] = value
    view = memoryview(array).cast("B")
    return current_worker().stock.untouched.key(view), content_digest(view)
