"""Pools for the tests, and what must hold after each: nothing of the pool is left."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mpmagic.pool import Pool

_LONGEST_SHUTDOWN = 10.0
_DEADLINE = 5.0


def pytest_configure(config: pytest.Config) -> None:
    """Let joblib's own tests have their marks."""
    for mark in ("timeout", "thread_unsafe", "no_cover"):
        config.addinivalue_line("markers", f"{mark}: of joblib's own tests")


@pytest.fixture(params=["forkserver", "spawn"])
def method(request: pytest.FixtureRequest) -> str:
    """The two ways of making workers, one after the other."""
    return str(request.param)


@pytest.fixture
def new_pool() -> Iterator[Callable[..., Pool]]:
    """Make pools that are shut down, within a bounded time, after the test."""
    pools: list[Pool] = []

    def make(*args: object, **options: object) -> Pool:
        pool = Pool(*args, **options)  # type: ignore[arg-type]
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        started = time.monotonic()
        pool.shutdown()
        assert time.monotonic() - started < _LONGEST_SHUTDOWN


@pytest.fixture
def pool(new_pool: Callable[..., Pool]) -> Pool:
    """Two workers."""
    return new_pool(2)


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No child, thread or descriptor (shared memory is one) more than before the test."""
    gc.collect()
    before = _possessions()
    yield
    (
        request.node.funcargs or {}
    ).clear()  # else the pool itself lives on, and the bell that it is told by
    gc.collect()
    left = _possessions() - before
    deadline = time.monotonic() + _DEADLINE
    while left and time.monotonic() < deadline:  # a reaped child's descriptor takes a moment
        threading.Event().wait(0.02)
        gc.collect()
        left = _possessions() - before
    assert not left


def _possessions() -> set[str]:
    children = {f"process {p.pid} {_command(p)}" for p in psutil.Process().children(recursive=True)}
    threads = {f"thread {t.name} {t.ident}" for t in threading.enumerate()}
    return children | threads | _descriptors()


def _descriptors() -> set[str]:
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"descriptor {file.name} {file.readlink()}")
        except FileNotFoundError:  # the one that listed the folder
            continue
    return found


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[-80:]
    except psutil.Error:
        return "?"


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """Fail a test that hangs, with all threads' stacks, instead of waiting for ever."""
    import faulthandler

    faulthandler.dump_traceback_later(100, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
