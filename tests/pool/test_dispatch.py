"""What the pool offers beyond the Executor interface."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mpmagic.pool
from mpmagic.errors import TaskTimeout, WorkerDied
from mpmagic.pool import Pool, WorkerState
from mpmagic.pool.future import Outcome
from mpmagic.pool.herald import Herald
from mpmagic.pool.member import Member
from mpmagic.pool.task import Task
from tests.pool import tasks
from tests.pool.waiting import text_of, until


def test_reports_arrive_in_order_and_before_the_end(pool: Pool) -> None:
    values = [*range(100), "text", {"a": [1.5]}]
    seen: list[Any] = []
    future = pool.dispatch(tasks.report_all, (values,), on_report=seen.append)
    assert future.result(30) == len(values)
    assert seen == values


def test_a_report_arrives_while_the_task_runs(pool: Pool, tmp_path: Path) -> None:
    arrived = threading.Event()
    go_on = tmp_path / "go on"

    def talk(path: str) -> None:
        mpmagic.pool.report("running")
        until(lambda: Path(path).exists())

    future = pool.dispatch(talk, (str(go_on),), on_report=lambda value: arrived.set())
    assert arrived.wait(30)
    assert not future.done()
    go_on.touch()
    future.result(30)


def test_a_report_outside_a_task_is_an_error() -> None:
    assert not mpmagic.pool.in_worker()
    with pytest.raises(RuntimeError, match="inside a task"):
        mpmagic.pool.report(1)


def test_a_task_knows_that_it_is_in_a_worker(pool: Pool) -> None:
    assert pool.submit(mpmagic.pool.in_worker).result(30) is True


def test_a_worker_has_its_next_task_before_anybody_hears_of_the_last(
    new_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = new_pool(1)
    pool.submit(tasks.square, 1).result(30)
    busy: list[bool] = []
    settle = Herald.settle

    def look(self: Herald, task: Task, outcome: Outcome | None) -> None:
        busy.append(any(member.task is not None for member in pool._supervisor._crew))
        settle(self, task, outcome)

    monkeypatch.setattr(Herald, "settle", look)
    first = pool.submit(tasks.sleep, 0.2)
    second = pool.submit(tasks.square, 3)
    assert second.result(30) == 9 and first.done()
    assert busy == [True, False]


def test_a_time_limit_costs_that_task_only(pool: Pool, tmp_path: Path) -> None:
    slow = pool.dispatch(tasks.sleep, (60,), timeout=0.2, label="chunk 7")
    stuck = pool.dispatch(tasks.ignore_interrupts, (str(tmp_path / "x"),), timeout=1)
    error = slow.exception(30)
    assert isinstance(error, TaskTimeout) and isinstance(error, TimeoutError)
    assert "chunk 7" in str(error) and "0.2 s" in str(error)
    assert isinstance(stuck.exception(30), TaskTimeout)
    assert list(pool.map(tasks.square, range(4))) == [0, 1, 4, 9]


def test_a_died_worker_is_named_and_replaced(new_pool: Callable[..., Pool], method: str) -> None:
    pool = new_pool(1, mp_context=method)
    assert pool.submit(tasks.square, 2).result(30) == 4
    future = pool.dispatch(tasks.mark_and_die, (41,), label="chunk 3")
    error = future.exception(30)
    assert isinstance(error, WorkerDied)
    assert isinstance(error, concurrent.futures.process.BrokenProcessPool)
    assert error.pid == future.worker and error.mark == 41 and error.label == "chunk 3"
    assert "SIGKILL" in str(error) and "chunk 3" in str(error)
    assert pool.submit(tasks.square, 3).result(30) == 9
    assert [w.restarts for w in pool.workers()] == [1]


@pytest.mark.parametrize(
    ("how", "arguments", "text"),
    [
        (tasks.leave, (3,), "exit code 3"),
        (tasks.leave_by_libc, (0,), "exit code 0"),
        (tasks.kill_self, (11,), "SIGSEGV"),
    ],
)
def test_the_error_says_how_it_ended(
    pool: Pool, how: Callable[..., Any], arguments: tuple[Any, ...], text: str
) -> None:
    with pytest.raises(WorkerDied, match=text):
        pool.submit(how, *arguments).result(30)


def test_a_task_is_run_again_if_asked(new_pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool = new_pool(1, retries=1)

    def die_once(path: str) -> str:
        if not Path(path).exists():
            Path(path).touch()
            tasks.kill_self()
        return "second time"

    assert pool.submit(die_once, str(tmp_path / "x")).result(30) == "second time"
    with pytest.raises(WorkerDied):
        pool.submit(tasks.kill_self).result(30)


def test_submit_each_reaches_every_worker_once(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(3)
    assert pool.submit_each(tasks.pid) == []
    pool.grow(3)
    until(lambda: sum(w.state is WorkerState.IDLE for w in pool.workers()) == 3)
    pids = sorted(f.result(30) for f in pool.submit_each(tasks.pid))
    assert pids == sorted(w.pid for w in pool.workers())


def test_grow_starts_workers_ahead(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    pool.grow(3)
    until(lambda: sum(w.state is WorkerState.IDLE for w in pool.workers()) == 3)
    assert pool.max_workers == 3


def test_restart_replaces_all_workers(pool: Pool, tmp_path: Path) -> None:
    pool.grow(2)
    until(lambda: sum(w.state is WorkerState.IDLE for w in pool.workers()) == 2)
    before = {w.pid for w in pool.workers()}
    running = pool.submit(tasks.touch_and_sleep, str(tmp_path / "x"), 0.3)
    text_of(tmp_path / "x")
    pool.restart()
    assert running.result(30) == str(tmp_path / "x")
    pids = until(lambda: not before & {w.pid for w in pool.workers()} and pool.workers())
    assert len(pids) == 2
    assert pool.submit(tasks.square, 3).result(30) == 9


def test_status_says_what_a_worker_does(new_pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool = new_pool(1)
    assert pool.workers() == []
    future = pool.dispatch(tasks.touch_and_sleep, (str(tmp_path / "x"), 60), label="chunk 9")
    text_of(tmp_path / "x")
    (worker,) = pool.workers()
    assert worker.state is WorkerState.BUSY
    assert worker.label == "chunk 9"
    assert worker.pid == future.worker
    assert worker.rss > 1_000_000
    pool.interrupt([future])
    assert isinstance(future.exception(30), KeyboardInterrupt)


def test_an_initializer_prepares_each_worker(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(2, initializer=tasks.set_variable, initargs=("PREPARED", "yes"))
    assert pool.submit(os.getenv, "PREPARED").result(30) == "yes"


def test_a_failing_initializer_fails_what_waits(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(2, initializer=tasks.divide, initargs=(1, 0))
    for _ in range(2):
        error = pool.submit(tasks.square, 1).exception(30)
        assert isinstance(error, WorkerDied) and "initializer" in str(error)
        assert isinstance(error.__cause__, ZeroDivisionError)


def test_workers_that_die_at_once_are_not_started_for_ever(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(2, initializer=os._exit, initargs=(1,))
    error = pool.submit(tasks.square, 1).exception(30)
    assert isinstance(error, WorkerDied) and "exit code 1" in str(error)


def test_a_question_that_fails_is_the_askers_trouble(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither hangs nor ends the pool."""
    assert pool.submit(tasks.square, 2).result(30) == 4
    with monkeypatch.context() as patch:
        patch.setattr(Member, "status", _no_memory)
        with pytest.raises(MemoryError):
            pool.workers()
    assert pool.submit(tasks.square, 3).result(30) == 9


def _no_memory(_: Member) -> None:
    raise MemoryError


def test_a_pool_that_failed_answers(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a fault of its own there is an error for each call, and nothing waits."""
    assert pool.submit(tasks.square, 2).result(30) == 4
    with monkeypatch.context() as patch:
        patch.setattr(Member, "begin", lambda *_: 1 / 0)
        assert isinstance(pool.submit(tasks.square, 3).exception(30), ZeroDivisionError)
    assert pool.submit_each(tasks.pid) == []
    assert pool.workers() == []
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(tasks.square, 4).result(30)
    caplog.clear()  # its record holds the frames of the failure, and so the pool


def test_retries_are_for_deaths_alone(new_pool: Callable[..., Pool], tmp_path: Path) -> None:
    """What raised, was stopped or was late isn't run again."""
    pool = new_pool(1, retries=3)

    def note(how: str) -> None:
        with (tmp_path / how).open("a") as file:
            file.write("x")
        if how == "raise":
            raise ValueError(how)
        tasks.ignore_interrupts(str(tmp_path / f"{how} runs"))

    assert isinstance(pool.submit(note, "raise").exception(30), ValueError)
    late = pool.dispatch(note, ("late",), timeout=0.5)
    assert isinstance(late.exception(30), TaskTimeout)
    stopped = pool.submit(note, "stop")
    until(lambda: (tmp_path / "stop runs").exists())
    pool.interrupt([stopped], grace=0)
    assert isinstance(stopped.exception(30), WorkerDied)
    assert pool.submit(tasks.square, 3).result(30) == 9
    assert [(tmp_path / how).read_text() for how in ("raise", "late", "stop")] == ["x"] * 3


def test_a_clock_starts_when_the_task_says_so(pool: Pool, tmp_path: Path) -> None:
    """The limit is over before the first of them has ended, which never says so."""
    path, go_on = tmp_path / "begun", tmp_path / "go on"

    def patient(path: str) -> str:
        until(lambda: Path(path).exists())
        return "done"

    unclocked = pool.dispatch(patient, (str(go_on),), timeout=0.2, clocked=True)
    clocked = pool.dispatch(tasks.spin_with_clock, (str(path),), timeout=0.2, clocked=True)
    assert isinstance(clocked.exception(30), TaskTimeout)
    assert path.exists() and not unclocked.done()
    go_on.touch()
    assert unclocked.result(30) == "done"


def test_clocks_of_tasks_one_after_the_other(new_pool: Callable[..., Pool]) -> None:
    """Looks that were planned for earlier tasks don't judge later ones."""

    def clocked(x: int) -> int:
        mpmagic.pool.start_clock()
        return x

    pool = new_pool(2)
    futures = [pool.dispatch(clocked, (x,), timeout=0.5, clocked=True) for x in range(200)]
    assert [f.result(30) for f in futures] == list(range(200))
    stuck = pool.dispatch(tasks.spin, (), timeout=0.2)
    assert isinstance(stuck.exception(30), TaskTimeout)


def test_a_clock_outside_a_task_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside a task"):
        mpmagic.pool.start_clock()


def test_a_quiet_task_leaves_no_last_words(
    new_pool: Callable[..., Pool], capfd: pytest.CaptureFixture[str]
) -> None:
    pool = new_pool(1)
    for quiet in (True, False):
        dying = pool.dispatch(tasks.echo_and_die, quiet=quiet)
        assert isinstance(dying.exception(30), WorkerDied)
    pool.shutdown()
    assert capfd.readouterr().out == "last words\n"
