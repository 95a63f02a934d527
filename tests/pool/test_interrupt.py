"""Stopping tasks: soon, only those that are meant, and the pool is usable at once."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mpmagic.errors import WorkerDied
from mpmagic.pool import Pool, WorkerState
from tests.pool import tasks
from tests.pool.waiting import text_of, until, wait_until_gone


@pytest.mark.parametrize("work", [tasks.touch_and_sleep, tasks.touch_and_spin])
def test_running_work_is_interrupted(
    new_pool: Callable[..., Pool], method: str, tmp_path: Path, work: Callable[..., object]
) -> None:
    pool = new_pool(1, mp_context=method)
    running = pool.submit(work, str(tmp_path / "x"))
    waiting = pool.submit(tasks.square, 1)
    pid = int(text_of(tmp_path / "x"))
    pool.interrupt([running, waiting])
    assert isinstance(running.exception(30), KeyboardInterrupt)
    with pytest.raises(concurrent.futures.CancelledError):
        waiting.result(30)
    assert pool.submit(tasks.pid).result(30) == pid  # the worker has survived


def test_an_interrupt_that_hits_a_finaliser_is_one(
    new_pool: Callable[..., Pool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python prints what is raised there, and goes on."""
    pool = new_pool(1)
    running = pool.submit(tasks.finalise_and_spin, str(tmp_path / "x"))
    pid = int(text_of(tmp_path / "x"))
    pool.interrupt([running], grace=30)
    assert isinstance(running.exception(60), KeyboardInterrupt)
    assert pool.submit(tasks.pid).result(30) == pid
    pool.shutdown()
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.parametrize("work", [tasks.ignore_interrupts, tasks.hold_the_gil])
def test_work_that_ignores_it_is_killed(
    new_pool: Callable[..., Pool], tmp_path: Path, work: Callable[..., object]
) -> None:
    pool = new_pool(1)
    running = pool.submit(work, str(tmp_path / "x"))
    while not (tmp_path / "x").exists():
        time.sleep(0)
    pool.interrupt([running], grace=0.2)
    with pytest.raises(WorkerDied):
        running.result(30)
    assert pool.submit(tasks.square, 5).result(30) == 25


@pytest.fixture
def import_slowly(tmp_path: Path) -> Callable[[], list[str]]:
    """Imports a package; for ever, but for the file `began`."""
    package = tmp_path / "halfmade"
    package.mkdir()
    (package / "part.py").write_text("import halfmade\n")
    (package / "__init__.py").write_text(
        f"import os, time\nfrom pathlib import Path\nfrom halfmade import part\n"
        f"began = Path({str(tmp_path / 'began')!r})\n"
        "if not began.exists():\n    began.write_text('yes')\n    time.sleep(60)\n"
    )
    folder = str(tmp_path)

    def use() -> list[str]:
        import sys

        before = [name for name in sys.modules if name.startswith("halfmade")]
        sys.path.insert(0, folder)
        import halfmade

        assert halfmade.part.halfmade is halfmade
        return before

    return use


def test_an_import_that_was_interrupted_is_made_anew(
    new_pool: Callable[..., Pool],
    method: str,
    tmp_path: Path,
    import_slowly: Callable[[], list[str]],
) -> None:
    """What it has left in its process, modules without their package, no later task meets."""
    pool = new_pool(1, mp_context=method)
    interrupted = pool.submit(import_slowly)
    assert text_of(tmp_path / "began") == "yes"
    pool.interrupt([interrupted], grace=30)
    assert isinstance(interrupted.exception(30), KeyboardInterrupt)
    assert pool.submit(import_slowly).result(30) == []


def test_a_worker_that_leaves_after_an_import_costs_no_task(
    new_pool: Callable[..., Pool], tmp_path: Path, import_slowly: Callable[[], list[str]]
) -> None:
    """It was sent to one that has left, and is interrupted before the kernel knows that."""
    pool = new_pool(1)
    pid = pool.submit(tasks.pid).result(30)
    nursery = psutil.Process(pid).parent()
    assert nursery is not None
    first, second = pool.submit(import_slowly), pool.submit(tasks.square, 3)
    assert text_of(tmp_path / "began") == "yes"
    nursery.suspend()  # it says when a worker is gone, and sends the signals
    try:
        pool.interrupt([first], grace=30)
        until(lambda: pool.workers()[0].state is WorkerState.INTERRUPTED)
        os.kill(pid, signal.SIGINT)
        assert isinstance(first.exception(30), KeyboardInterrupt)
        until(second.running)
        pool.interrupt([second], grace=30)
    finally:
        nursery.resume()
    assert isinstance(second.exception(30), KeyboardInterrupt)
    assert pool.submit(tasks.square, 5).result(30) == 25


def test_an_interrupt_that_an_import_swallows_is_one(
    new_pool: Callable[..., Pool], tmp_path: Path
) -> None:
    """C code that imports says that the module is missing; what follows from that isn't true."""
    began = tmp_path / "began"
    (tmp_path / "wanted.py").write_text(
        f"import time\nfrom pathlib import Path\nPath({str(began)!r}).write_text('yes')\n"
        "time.sleep(60)\n"
    )

    def use(folder: str, *, fails: bool) -> str:
        import sys

        sys.path.insert(0, folder)
        try:
            import wanted  # noqa: F401
        except BaseException as error:
            if fails:
                raise ImportError("no module of that name") from error
        return "done without it"

    pool = new_pool(1)
    for fails in (True, False):
        running = pool.submit(use, str(tmp_path), fails=fails)
        text_of(began)
        began.unlink()
        pool.interrupt([running], grace=30)
        assert isinstance(running.exception(30), KeyboardInterrupt)


def test_children_of_the_task_are_gone_too(pool: Pool, tmp_path: Path) -> None:
    running = pool.submit(tasks.start_child_and_sleep, str(tmp_path / "x"))
    _, child = map(int, text_of(tmp_path / "x").split())
    pool.interrupt([running])
    assert isinstance(running.exception(30), KeyboardInterrupt)
    assert wait_until_gone(child, seconds=5) == []


def test_other_tasks_go_on(pool: Pool, tmp_path: Path) -> None:
    stopped = pool.submit(tasks.touch_and_sleep, str(tmp_path / "x"))
    other = pool.submit(tasks.touch_and_sleep, str(tmp_path / "y"), 0.5)
    text_of(tmp_path / "x")
    text_of(tmp_path / "y")
    pool.interrupt([stopped])
    assert isinstance(stopped.exception(30), KeyboardInterrupt)
    assert other.result(30) == str(tmp_path / "y")


def test_an_interrupt_on_the_way_hits_its_task_or_nobody(pool: Pool) -> None:
    """Interrupts at any moment of short tasks' lives; the next tasks never see one."""
    outcomes = set()
    for i in range(300):
        short = pool.submit(tasks.sleep, (i % 10) / 5000)
        if i % 3:
            concurrent.futures.wait([short], timeout=(i % 7) / 5000)
        pool.interrupt([short], grace=30)  # a busy machine is no reason to kill the worker
        follower = pool.submit(tasks.square, i)
        try:
            outcomes.add(short.result(30))
        except (KeyboardInterrupt, concurrent.futures.CancelledError) as error:
            outcomes.add(type(error))
        assert follower.result(30) == i * i
    assert len(outcomes) > 1


def test_a_stray_signal_is_ignored(pool: Pool, tmp_path: Path) -> None:
    """SIGINT to the worker that nobody meant for its task, idle or busy."""
    pid = pool.submit(tasks.pid).result(30)
    os.kill(pid, signal.SIGINT)
    assert pool.submit(tasks.square, 5).result(30) == 25
    running = pool.submit(tasks.touch_and_sleep, str(tmp_path / "x"), 0.3)
    os.kill(int(text_of(tmp_path / "x")), signal.SIGINT)
    assert running.result(30) == str(tmp_path / "x")
    assert pid in {w.pid for w in pool.workers()}


def test_a_stopped_worker_is_replaced(new_pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool = new_pool(1)
    running = pool.submit(tasks.touch_and_spin, str(tmp_path / "x"))
    os.kill(int(text_of(tmp_path / "x")), signal.SIGSTOP)
    pool.interrupt([running], grace=0.2)
    with pytest.raises(WorkerDied):
        running.result(30)
    assert pool.submit(tasks.square, 5).result(30) == 25


def test_an_idle_worker_that_is_stopped_costs_no_task(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1)
    pid = pool.submit(tasks.pid).result(30)
    os.kill(pid, signal.SIGSTOP)
    assert pool.submit(tasks.square, 5).result(30) == 25
    assert wait_until_gone(pid, seconds=5) == []


def test_what_has_not_begun_is_not_begun_elsewhere(
    new_pool: Callable[..., Pool], tmp_path: Path
) -> None:
    """Sent to a worker that doesn't read it, and called back: another must not run it."""
    pool = new_pool(1)
    os.kill(pool.submit(tasks.pid).result(30), signal.SIGSTOP)
    unread = pool.submit(tasks.touch_and_sleep, str(tmp_path / "x"), 0)
    until(unread.running)
    pool.interrupt([unread], grace=0)
    with pytest.raises(WorkerDied):
        unread.result(30)
    assert pool.submit(tasks.square, 5).result(30) == 25
    assert not (tmp_path / "x").exists()
