"""The grid: every way to fail, at every stage of a task, with several numbers of workers.

After each, the task's own future has an error that says what happened, the tasks around it have
their results, and the pool goes on.
"""

from __future__ import annotations

import collections
import ctypes
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mpmagic.errors import TaskTimeout, UnsendableValue, WorkerDied
from mpmagic.pool import Pool, TaskFuture, warden
from tests.pool import tasks
from tests.pool.waiting import text_of, until

LIMIT = 1.0
"""Seconds that a task which hangs may run; the others take as long as a busy machine needs."""


class TroubleError(Exception):
    """What a test raises, with an `__init__` that plain pickling can't call."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


def raise_it() -> None:
    raise TroubleError(code=7)


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def hang() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(60)


def stop_self() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0)


def want_too_much() -> bytes:
    return b"x" * (1 << 62)


WAYS: dict[str, tuple[Callable[[], Any], type[BaseException]]] = {
    "exception": (raise_it, TroubleError),
    "sys.exit": (lambda: sys.exit(3), SystemExit),
    "libc exit": (lambda: ctypes.CDLL(None).exit(3), WorkerDied),
    "os._exit": (lambda: os._exit(3), WorkerDied),
    "SIGSEGV": (lambda: os.kill(os.getpid(), signal.SIGSEGV), WorkerDied),
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), WorkerDied),
    "SIGSTOP": (stop_self, TaskTimeout),
    "memory": (want_too_much, MemoryError),
    "recursion": (recurse, RecursionError),
    "hang": (hang, TaskTimeout),
}


# What cloudpickle makes of some of them.
_CLOUDPICKLES = collections.defaultdict(tuple, {"recursion": (pickle.PicklingError,)})


class At:
    """Does it when it is unpickled, if `pid` isn't this process, or pickled there."""

    def __init__(self, way: str, *, when: str, home: int, ballast: bytes = b"") -> None:
        self.way, self.when, self.home, self.ballast = way, when, home, ballast

    def __reduce__(self) -> Any:
        if self.when == "pickling the result" and os.getpid() != self.home:
            WAYS[self.way][0]()
        return _remake, (self.way, self.when, self.home, self.ballast)


def _remake(way: str, when: str, home: int, ballast: bytes) -> At:
    away = os.getpid() != home
    if (when, away) in {("loading the task", True), ("loading the result", False)}:
        WAYS[way][0]()
    return At(way, when=when, home=home, ballast=ballast)


def _do(way: str) -> None:
    WAYS[way][0]()


def _submit_bad(pool: Pool, way: str, fn: Callable[..., Any], *args: Any) -> TaskFuture[Any]:
    return pool.dispatch(fn, args, timeout=LIMIT if WAYS[way][1] is TaskTimeout else None)


def _check_the_rest(pool: Pool, around: list[Any]) -> None:
    assert [f.result(30) for f in around] == [i * i for i in range(len(around))]
    assert pool.submit(tasks.square, 12).result(30) == 144


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("way", WAYS)
def test_while_running(new_pool: Callable[..., Pool], way: str, workers: int) -> None:
    pool = new_pool(workers)
    bad = _submit_bad(pool, way, _do, way)
    around = [pool.submit(tasks.square, i) for i in range(6)]
    assert type(bad.exception(30)) is WAYS[way][1]
    _check_the_rest(pool, around)


@pytest.mark.parametrize(("workers", "size"), [(1, 1_000_000), (2, 0), (2, 1_000_000), (5, 0)])
@pytest.mark.parametrize("when", ["loading the task", "pickling the result"])
@pytest.mark.parametrize("way", WAYS)
def test_while_unpickling_or_pickling_in_the_worker(
    new_pool: Callable[..., Pool], way: str, when: str, workers: int, size: int
) -> None:
    pool = new_pool(workers)
    thing = At(way, when=when, home=os.getpid(), ballast=b"x" * size)
    bad = _submit_bad(pool, way, tasks.identity, thing)
    around = [pool.submit(tasks.square, i) for i in range(6)]
    error = bad.exception(30)
    assert type(error) in (WAYS[way][1], *(_CLOUDPICKLES[way] if "pickling" in when else ()))
    if way == "exception":
        notes = " ".join(error.__notes__)
        assert ("loading the task" if "loading" in when else "pickling the result") in notes
    _check_the_rest(pool, around)


@pytest.mark.parametrize(("workers", "size"), [(1, 1_000_000), (2, 0), (5, 1_000_000)])
@pytest.mark.parametrize("way", ["exception", "sys.exit", "recursion", "memory"])
def test_while_unpickling_in_the_kernel(
    new_pool: Callable[..., Pool], way: str, workers: int, size: int
) -> None:
    """What ends the kernel there, or stops it, ends or stops it serially too."""
    pool = new_pool(workers)
    thing = At(way, when="loading the result", home=os.getpid(), ballast=b"x" * size)
    bad = pool.submit(tasks.identity, thing)
    around = [pool.submit(tasks.square, i) for i in range(6)]
    error = bad.exception(30)
    assert type(error) is UnsendableValue
    assert type(error.__cause__) is WAYS[way][1]
    _check_the_rest(pool, around)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("way", ["exception", "sys.exit", "recursion", "memory"])
def test_while_pickling_in_the_kernel(
    new_pool: Callable[..., Pool], way: str, workers: int
) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return WAYS[way][0]()

    pool = new_pool(workers)
    bad = pool.submit(tasks.identity, Bad())
    around = [pool.submit(tasks.square, i) for i in range(6)]
    error = bad.exception(30)
    assert isinstance(error, (WAYS[way][1], *_CLOUDPICKLES[way]))
    assert "while pickling the task identity" in error.__notes__
    _check_the_rest(pool, around)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_while_shutting_down(new_pool: Callable[..., Pool], way: str, workers: int) -> None:
    pool = new_pool(workers)
    bad = _submit_bad(pool, way, _do, way)
    around = [pool.submit(tasks.square, i) for i in range(6)]
    pool.shutdown(wait=False)
    assert type(bad.exception(30)) is WAYS[way][1]
    assert [f.result(30) for f in around] == [i * i for i in range(6)]


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("way", WAYS)
def test_while_starting(
    new_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch, way: str, workers: int
) -> None:
    """In the initialiser, each time: every task fails for that reason, and none waits."""
    monkeypatch.setattr(warden, "_STOPPED_SECONDS", 0.2)
    monkeypatch.setattr(warden, "_START_SECONDS", 0.3)
    limit = LIMIT if way == "hang" else None
    pool = new_pool(workers, initializer=_do, initargs=(way,), task_timeout=limit)
    for _ in range(2):
        futures = [pool.submit(tasks.square, i) for i in range(6)]
        errors = [f.exception(30) for f in futures]
        assert {type(e) for e in errors} == {TaskTimeout if way == "hang" else WorkerDied}
        if WAYS[way][1] not in (WorkerDied, TaskTimeout):
            assert type(errors[0].__cause__) is WAYS[way][1]  # type: ignore[union-attr]
    assert pool.shutdown() is None


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_that_fails_to_start_once_costs_nothing(
    new_pool: Callable[..., Pool], method: str, tmp_path: Path
) -> None:
    pool = new_pool(2, mp_context=method, initializer=die_once, initargs=(str(tmp_path / "x"),))
    assert [pool.submit(tasks.square, i).result(30) for i in range(6)] == [i * i for i in range(6)]


def die_once(path: str) -> None:
    try:
        Path(path).mkdir()
    except FileExistsError:
        return
    tasks.kill_self()


@pytest.mark.parametrize("count", [1, 20])
def test_killed_while_it_writes_a_result(new_pool: Callable[..., Pool], count: int) -> None:
    """The first part of a message larger than the socket has arrived, the rest never will."""

    def report_a_lot_and_die() -> None:
        import threading

        from mpmagic.pool import report

        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
        while True:
            report("x" * 200_000)

    pool = new_pool(2)
    for _ in range(count):
        bad = pool.dispatch(report_a_lot_and_die, on_report=len)
        assert isinstance(bad.exception(30), WorkerDied)
    _check_the_rest(pool, [])


def test_the_fork_server_is_killed(new_pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool = new_pool(2)
    pid = pool.submit(tasks.pid).result(30)
    running = pool.submit(tasks.touch_and_sleep, str(tmp_path / "x"))
    text_of(tmp_path / "x")
    os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)
    assert isinstance(running.exception(30), WorkerDied)
    _check_the_rest(pool, [])


def test_the_fork_server_is_killed_while_workers_start(
    new_pool: Callable[..., Pool], tmp_path: Path
) -> None:
    """All five go down at once, for one reason that has passed: no task fails."""
    go = tmp_path / "go"
    pool = new_pool(5, initializer=_wait_for, initargs=(str(tmp_path), str(go)))
    futures = [pool.submit(tasks.square, i) for i in range(6)]
    until(lambda: len(list(tmp_path.iterdir())) == 5)
    pid = int(next(tmp_path.iterdir()).name)
    os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)
    go.touch()
    assert [f.result(30) for f in futures] == [i * i for i in range(6)]


def _wait_for(folder: str, go: str) -> None:
    Path(folder, str(os.getpid())).touch()
    until(Path(go).exists)


def test_a_task_closes_all_descriptors(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    bad = pool.submit(os.closerange, 0, 1000)
    assert isinstance(bad.exception(30), WorkerDied)
    _check_the_rest(pool, [])


def test_an_exception_keeps_what_it_has(pool: Pool) -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            error = TroubleError(code=5)
            error.add_note("a note")
            error.extra = [1, 2]  # type: ignore[attr-defined]
            raise error from inner

    error = pool.submit(fail).exception(30)
    assert isinstance(error, TroubleError)
    assert (str(error), error.code, error.extra) == ("code 5", 5, [1, 2])  # type: ignore[attr-defined]
    assert error.__notes__ == ["a note"]
    assert repr(error.__cause__) == "KeyError('inner')"
    assert error.__cause__ is not None and error.__cause__.__traceback__ is not None


MAKERS: list[Callable[[], BaseException]] = [
    lambda: OSError(2, "No such file", "name"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    lambda: KeyError("k"),
    lambda: StopIteration(5),
    lambda: ImportError("no", name="n", path="p"),
    lambda: SyntaxError("bad", ("file", 3, 4, "text")),
    lambda: AttributeError("a", name="n"),
    lambda: ExceptionGroup("group", [ValueError(1), ExceptionGroup("inner", [OSError(3, "x")])]),
    lambda: KeyboardInterrupt(),
    lambda: AssertionError(),
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: type(make()).__name__)
def test_built_in_exceptions_arrive_equal(pool: Pool, make: Callable[[], BaseException]) -> None:
    def throw() -> None:
        raise make()

    error, back = make(), pool.submit(throw).exception(30)
    assert type(back) is type(error)
    assert repr(back) == repr(error)
    assert str(back) == str(error)
    for name in ("errno", "filename", "encoding", "name", "path", "value", "lineno"):
        assert getattr(back, name, None) == getattr(error, name, None)


def test_an_exception_with_a_lock_in_it_arrives_as_text(pool: Pool) -> None:
    def fail() -> None:
        import threading

        raise ValueError("with", threading.Lock())

    error = pool.submit(fail).exception(30)
    assert isinstance(error, ValueError)
    assert error.args[0] == "with" and "lock" in error.args[1]
