"""CPython's own tests for executors, run against the pool wherever they can be imported.

They aren't copied: some builds of CPython have them as `test.test_concurrent_futures`. Left out
are those that read the private attributes of `ProcessPoolExecutor`, and those that demand that a
pool is broken for good after a death: for these the opposite is asserted here.
"""

# ruff: noqa: E402  what may not be there is looked for first

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.util
import textwrap
import unittest.mock
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

import pytest

import mpmagic
from mpmagic.errors import UnsendableValue, WorkerDied
from mpmagic.pool import Pool

for _module in ("util", "executor", "test_as_completed", "test_wait", "test_shutdown", "test_init"):
    pytest.importorskip(f"test.test_concurrent_futures.{_module}")

from test.test_concurrent_futures import test_as_completed as as_completed
from test.test_concurrent_futures import test_deadlock as deadlock
from test.test_concurrent_futures import test_init as initializer
from test.test_concurrent_futures import test_process_pool as process_pool
from test.test_concurrent_futures import test_shutdown as shutdown
from test.test_concurrent_futures import test_wait as waiting
from test.test_concurrent_futures.executor import ExecutorTest, mul
from test.test_concurrent_futures.util import BaseTestCase, ExecutorMixin


@pytest.fixture(scope="module", autouse=True)
def _their_fork_server() -> Iterator[None]:
    """From Python 3.14 on their tests make managers, for which it runs on after each of them."""
    multiprocessing.forkserver.ensure_running()
    yield
    multiprocessing.util._cleanup_tests()


class _Ours(ExecutorMixin):  # type: ignore[misc]
    executor_type = Pool
    executor: Pool
    manager: Any = None

    def create_event(self) -> Any:
        """An event for all processes; their own mixins have this from Python 3.14 on."""
        if self.manager is None:
            self.manager = multiprocessing.get_context("forkserver").Manager()
        return self.manager.Event()


class _Forkserver(_Ours):
    ctx = "forkserver"


class _Spawn(_Ours):
    ctx = "spawn"


class TestExecutor(_Ours, ExecutorTest, BaseTestCase):  # type: ignore[misc]
    """Submitting, mapping, references."""


class TestAsCompleted(_Ours, as_completed.AsCompletedTests, BaseTestCase):  # type: ignore[misc]
    """`as_completed`."""


class TestWait(_Ours, waiting.WaitTests, BaseTestCase):  # type: ignore[misc]
    """`wait`."""


class TestInitializer(_Ours, initializer.InitializerMixin, BaseTestCase):  # type: ignore[misc]
    """An initialiser that works."""


class TestProcessPool(_Forkserver, BaseTestCase):  # type: ignore[misc]
    """What is particular to processes."""

    _theirs = process_pool.ProcessPoolExecutorTest
    test_map_chunksize = _theirs.test_map_chunksize

    def test_idle_process_reuse_one(self) -> None:
        for i in range(3):
            self.executor.submit(mul, 21, i).result()
        assert len(self.executor.workers()) == 1

    def test_killed_child_breaks_nothing(self) -> None:
        self.executor.submit(mul, 1, 1).result()
        (worker,) = self.executor.workers()
        future = self.executor.submit(deadlock._crash)
        with pytest.raises(futures.process.BrokenProcessPool):
            future.result()
        assert self.executor.submit(pow, 2, 8).result() == 256
        assert worker.pid not in {w.pid for w in self.executor.workers()}

    def test_traceback_has_the_workers_line(self) -> None:
        future = self.executor.submit(process_pool.ProcessPoolExecutorTest._test_traceback)
        with pytest.raises(RuntimeError) as caught:
            future.result()
        assert (
            str(caught.traceback[-1].statement).strip() == "raise RuntimeError(123) # some comment"
        )


class _Deadlock:
    """Crashes and exits at every stage; the pool must be usable after each."""

    _theirs = deadlock.ExecutorDeadlockTest
    TIMEOUT = _theirs.TIMEOUT
    test_error_at_task_pickle = _theirs.test_error_at_task_pickle
    test_crash_at_task_unpickle = _theirs.test_crash_at_task_unpickle
    test_crash_during_func_exec = _theirs.test_crash_during_func_exec_on_worker
    test_exit_during_func_exec = _theirs.test_exit_during_func_exec_on_worker
    test_error_during_func_exec = _theirs.test_error_during_func_exec_on_worker
    test_crash_during_result_pickle = _theirs.test_crash_during_result_pickle_on_worker
    test_exit_during_result_pickle = _theirs.test_exit_during_result_pickle_on_worker
    test_error_during_result_pickle = _theirs.test_error_during_result_pickle_on_worker
    test_shutdown_deadlock = _theirs.test_shutdown_deadlock
    test_crash_big_data = _theirs.test_crash_big_data
    executor: Pool

    def _check_crash(self, error: Any, func: Any, *args: Any, **_: Any) -> None:
        with pytest.raises(error):
            self.executor.submit(func, *args).result(timeout=60)
        assert self.executor.submit(pow, 2, 8).result(timeout=60) == 256

    _check_error = _check_crash  # its name from Python 3.14 on

    def test_what_cannot_be_loaded_says_why(self) -> None:
        """Where the standard library's pool breaks, the task alone fails, with the reason."""
        self._check_crash(UnpicklingError, id, deadlock.ErrorAtUnpickle())
        self._check_crash(SystemExit, id, deadlock.ExitAtUnpickle())
        for bad in (deadlock.ErrorAtUnpickle, deadlock.ExitAtUnpickle):
            with unittest.mock.patch("sys.stderr"):  # it puts one of its own
                self._check_crash(UnsendableValue, deadlock._return_instance, bad)

    def test_pickling_fails_after_shutdown(self) -> None:
        future = self.executor.submit(id, deadlock.ErrorAtPickle())
        self.executor.shutdown(wait=False)
        assert "Error in pickle" in str(future.exception(60))


class TestDeadlockForkserver(_Deadlock, _Forkserver, BaseTestCase):  # type: ignore[misc]
    """With the fork server."""


class TestDeadlockSpawn(_Deadlock, _Spawn, BaseTestCase):  # type: ignore[misc]
    """With new interpreters."""


class TestShutdown(_Ours, shutdown.ExecutorShutdownTest, BaseTestCase):  # type: ignore[misc]
    """Shutting down, by hand and at the end of the interpreter."""

    @pytest.fixture(autouse=True)
    def _import_from_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        theirs = shutdown.assert_python_ok

        def run(flag: str, code: str) -> Any:
            # It runs isolated, and must find this very package wherever that stands.
            path = f"import sys; sys.path.insert(0, {_ROOT!r})\n"
            code = textwrap.dedent(code).replace("from concurrent.futures import", _IMPORT)
            return theirs(flag, path + code)

        monkeypatch.setattr(shutdown, "assert_python_ok", run)

    def test_cancel_futures(self) -> None:
        # Without a worker yet, cancelling right after submitting leaves nothing that has begun.
        self.executor.submit(int).result()
        super().test_cancel_futures()


_IMPORT = "from mpmagic.pool import"
_ROOT = str(Path(mpmagic.__file__).parent.parent)


class TestFailingInitializer(_Ours, BaseTestCase):  # type: ignore[misc]
    """The pool isn't broken for good by it: each task says what is wrong."""

    executor_kwargs: ClassVar = {"initializer": initializer.init_fail}

    def test_initializer(self) -> None:
        for _ in range(2):
            future = self.executor.submit(initializer.get_init_status)
            with pytest.raises(WorkerDied, match="error in initializer"):
                future.result(60)
