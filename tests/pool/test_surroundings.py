"""Workers see the notebook's surroundings, know their limits, and are warm."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mpmagic.pool import Pool, WorkerState, cpu_count, preload, warden
from mpmagic.pool import cpus as cpus_module
from mpmagic.pool.cpus import THREAD_VARIABLES, thread_caps
from tests.pool import tasks
from tests.pool.waiting import text_of, until


def test_a_worker_starts_where_the_kernel_is(
    new_pool: Callable[..., Pool], method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "helper_of_the_notebook.py").write_text("answer = 42\n")
    # A file of the notebook's that has the name of a module of the standard library.
    (tmp_path / "selectors.py").write_text("raise RuntimeError('not the standard one')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.path.append(sys.path.pop(0))
    monkeypatch.setenv("NOTEBOOKS_OWN", "value")
    monkeypatch.delenv("HOME")

    def look() -> Any:
        import helper_of_the_notebook

        return [helper_of_the_notebook.answer, str(Path.cwd()), dict(os.environ), sys.path]

    pool = new_pool(1, mp_context=method)
    answer, folder, environ, path = pool.submit(look).result(30)
    assert answer == 42
    assert folder == str(tmp_path)
    assert environ["NOTEBOOKS_OWN"] == "value" and "HOME" not in environ
    assert path == sys.path


def test_workers_hash_alike(new_pool: Callable[..., Pool], method: str) -> None:
    pool = new_pool(3, mp_context=method)
    pool.grow(3)
    until(lambda: sum(w.state is WorkerState.IDLE for w in pool.workers()) == 3)
    hashes = {f.result(30) for f in pool.submit_each(hash, "some text")}
    pool.restart()
    hashes.add(pool.submit(hash, "some text").result(30))
    assert len(hashes) == 1


def test_threads_are_capped_unless_the_user_has_said(
    new_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    pool = new_pool(max(1, cpu_count()))
    environ = pool.submit(lambda: dict(os.environ)).result(30)
    assert environ["MKL_NUM_THREADS"] == "7"
    assert {environ[n] for n in THREAD_VARIABLES if n != "MKL_NUM_THREADS"} == {"1"}
    assert thread_caps(1, {})["OMP_NUM_THREADS"] == str(cpu_count())


def test_cores_are_those_that_may_be_used() -> None:
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "quotas"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, [1.5]),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, []),
        (
            {
                "proc/self/cgroup": "5:cpuacct,cpu:/docker/x\n3:memory:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            [0.5],
        ),
        ({"proc/self/cgroup": "4:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n"}, []),
        ({}, []),
    ],
)
def test_quotas_of_both_versions(tmp_path: Path, files: dict[str, str], quotas: Any) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(cpus_module._quotas(str(tmp_path))) == quotas


def test_idle_workers_import_what_the_kernel_has(new_pool: Callable[..., Pool]) -> None:
    """Installed packages only, and not in the fork server."""
    pool = new_pool(1)
    loaded = pool.submit(lambda: "numpy" in sys.modules)
    loaded.result(30)
    server = psutil.Process(loaded.worker).parent()
    assert server is not None
    assert not any("numpy" in m.path for m in server.memory_maps())
    worker = psutil.Process(loaded.worker)
    until(lambda: any("numpy" in m.path for m in worker.memory_maps()))
    assert not pool.submit(lambda: "tests.pool.tasks" in sys.modules).result(30)


def _faults_of_temporaries() -> int:
    """New pages for large blocks that are made and freed, after the first time."""
    for block in range(21):
        if block == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        assert b"x" * (8 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library decides by itself")
def test_workers_use_freed_memory_again(
    new_pool: Callable[..., Pool], import_ahead: Callable[[str], Path]
) -> None:
    began = import_ahead("")
    pool = new_pool(1)
    pool.submit(int).result(30)
    until(began.exists)
    assert pool.submit(_faults_of_temporaries).result(30) < 100  # else 2,000 for each


@pytest.fixture
def import_ahead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Have workers import a module ahead; give the file that says that one has begun to."""

    def prepare(trouble: str) -> Path:
        began = tmp_path / "began"
        (tmp_path / "troublesome.py").write_text(
            f"import os, time\nfrom pathlib import Path\n"
            f"with open({str(began)!r}, 'a') as file:\n    file.write('x')\n{trouble}\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(preload, "_installed", lambda _: ["troublesome"])
        return began

    return prepare


def test_an_import_ahead_that_hangs_costs_no_task(
    new_pool: Callable[..., Pool],
    import_ahead: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warden, "_STOPPED_SECONDS", 0.2)
    monkeypatch.setattr(warden, "_STUCK_SECONDS", 0.5)
    began = import_ahead("time.sleep(1000)")
    pool = new_pool(1)
    pool.grow(1)
    text_of(began)
    assert pool.submit(tasks.square, 3).result(30) == 9
    assert [w.restarts for w in pool.workers()] == [1]


def test_what_an_import_ahead_prints_is_not_shown(
    new_pool: Callable[..., Pool],
    import_ahead: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not even so much that text of a task would be shown at once."""
    began = import_ahead("print('ahead' * 20_000)")
    pool = new_pool(1)
    pool.grow(1)
    text_of(began)
    pool.submit(print, "asked for").result(30)
    pool.shutdown()
    assert capsys.readouterr().out == "asked for\n"


def test_an_import_ahead_that_kills_is_not_tried_again(
    new_pool: Callable[..., Pool], import_ahead: Callable[[str], Path], tmp_path: Path
) -> None:
    """A task that waits for its end goes to another worker, and that one imports nothing ahead."""
    go = tmp_path / "go"
    began = import_ahead(f"while not Path({str(go)!r}).exists():\n    pass\nos._exit(1)")
    pool = new_pool(1)
    pool.grow(1)
    text_of(began)
    future = pool.submit(tasks.square, 3)
    until(lambda: pool.workers()[0].state is WorkerState.BUSY)
    go.touch()
    assert future.result(30) == 9
    assert began.read_text() == "x"


def test_a_pool_in_a_worker_has_one_worker_of_its_own(pool: Pool) -> None:
    def nested() -> tuple[int, int, int]:
        with Pool() as inner:
            return inner.max_workers, inner.submit(os.getpid).result(30), os.getpid()

    count, inner, outer = pool.submit(nested).result(60)
    assert count == 1 and inner != outer


def test_a_pool_cannot_travel(pool: Pool) -> None:
    error = pool.submit(tasks.identity, pool).exception(30)
    assert isinstance(error, TypeError) and "belongs to the process" in str(error)


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
def test_a_memory_limit_is_a_memory_error(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1, memory_limit=300_000_000)
    error = pool.submit(np.ones, 100_000_000).exception(60)
    assert isinstance(error, MemoryError)
    assert "300,000,000" in error.__notes__[-1]
    assert pool.submit(tasks.square, 3).result(30) == 9


@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
def test_what_is_shared_does_not_count(new_pool: Callable[..., Pool]) -> None:
    pool = new_pool(1, memory_limit=300_000_000)
    values = np.ones(50_000_000)  # 400 MB
    for _ in range(3):
        assert pool.submit(np.sum, values).result(60) == 50_000_000
    assert isinstance(pool.submit(np.ones, 50_000_000).exception(60), MemoryError)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such killer elsewhere")
def test_the_systems_killer_takes_workers_first(pool: Pool) -> None:
    def score() -> int:
        return int(Path("/proc/self/oom_score_adj").read_text())

    assert pool.submit(score).result(30) > score()
