"""After the end of the kernel, by whatever way, nothing of the pool is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.pool.waiting import text_of, wait_until_gone

_ROOT = Path(__file__).resolve().parent.parent.parent

_BUSY = """
import sys, os, time
from pathlib import Path
from mpmagic.pool import Pool
from tests.pool import tasks
pool = Pool(3, mp_context={method!r})
folder = Path({folder!r})
pool.submit(tasks.touch_and_spin, str(folder / "spin"))
pool.submit(tasks.hold_the_gil, str(folder / "gil"))
pool.submit(tasks.start_child_and_sleep, str(folder / "child"))
time.sleep(60)
"""


def _start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_kernel_leaves_nothing(tmp_path: Path, method: str, how: signal.Signals) -> None:
    kernel = _start(_BUSY.format(method=method, folder=str(tmp_path)))
    try:
        pids = [int(text_of(tmp_path / name)) for name in ("spin",)]
        while not (tmp_path / "gil").exists():
            os.sched_yield()
        child = int(text_of(tmp_path / "child").split()[1])
        ours = psutil.Process(kernel.pid).children(recursive=True)
        assert len(ours) >= 4
    finally:
        kernel.send_signal(how)
        kernel.communicate(timeout=20)
    pids += [p.pid for p in ours]
    if method == "spawn":
        # Nobody but the kernel knew of the child; the system kills only the worker itself.
        pids.remove(child)
        os.kill(child, signal.SIGKILL)
    assert wait_until_gone(*pids, seconds=2) == []


def test_exit_waits_for_tasks_and_is_quiet() -> None:
    kernel = _start(
        "from mpmagic.pool import Pool\n"
        "import time\n"
        "def f():\n"
        "    time.sleep(0.5)\n"
        "    print('done')\n"
        "Pool(2).submit(f)\n"
    )
    out, err = kernel.communicate(timeout=30)
    assert (out, err, kernel.returncode) == ("done\n", "", 0)


def test_exit_of_a_daemonic_pool_is_at_once(tmp_path: Path) -> None:
    kernel = _start(
        "from mpmagic.pool import Pool\n"
        "from tests.pool import tasks, waiting\n"
        "from pathlib import Path\n"
        f"path = Path({str(tmp_path / 'x')!r})\n"
        "pool = Pool(2, daemon=True)\n"
        "futures = [pool.submit(tasks.touch_and_spin, str(path)) for _ in range(5)]\n"
        "waiting.text_of(path)\n"
    )
    out, err = kernel.communicate(timeout=30)
    assert (out, err, kernel.returncode) == ("", "", 0)


def test_importing_starts_nothing() -> None:
    kernel = _start(
        "import sys, threading, mpmagic.pool, os\n"
        "pool = mpmagic.pool.Pool()\n"
        "print(threading.active_count(), len(os.listdir('/proc/self/task')))\n"
        "print([m for m in ('numpy', 'cloudpickle', 'xxhash', 'IPython') "
        "if m in sys.modules])\n"
    )
    out, err = kernel.communicate(timeout=30)
    assert (out, err) == ("1 1\n[]\n", "")


def test_a_forked_child_leaves_the_pool_alone() -> None:
    kernel = _start(
        "import os\n"
        "from mpmagic.pool import Pool\n"
        "from tests.pool import tasks\n"
        "pool = Pool(2)\n"
        "assert pool.submit(tasks.square, 3).result(30) == 9\n"
        "if (pid := os.fork()) == 0:\n"
        "    try:\n"
        "        pool.submit(tasks.square, 3)\n"
        "    except RuntimeError as error:\n"
        "        print(type(error).__name__, flush=True)\n"
        "    with Pool(1) as own:\n"
        "        print(own.submit(tasks.square, 4).result(30), flush=True)\n"
        "    raise SystemExit\n"
        "os.waitpid(pid, 0)\n"
        "print(pool.submit(tasks.square, 5).result(30))\n"
    )
    out, err = kernel.communicate(timeout=30)
    assert out == "RuntimeError\n16\n25\n"
    assert "Error" not in err


def test_the_terminals_interrupt_does_not_reach_workers(tmp_path: Path) -> None:
    kernel = _start(
        "import os, signal\n"
        "from mpmagic.pool import Pool\n"
        "from tests.pool import tasks\n"
        "pool = Pool(2)\n"
        "signal.signal(signal.SIGINT, lambda *_: print('kernel interrupted'))\n"
        "os.setpgrp()\n"
        "pids = {pool.submit(tasks.pid).result(30) for _ in range(10)}\n"
        "running = pool.submit(tasks.touch_and_sleep, " + repr(str(tmp_path / "x")) + ", 0.5)\n"
        "tasks.time.sleep(0.2)\n"
        "os.killpg(0, signal.SIGINT)\n"
        "running.result(30)\n"
        "assert pids <= {w.pid for w in pool.workers()}\n"
        "print('alive')\n"
    )
    out, err = kernel.communicate(timeout=30)
    assert (out, err) == ("kernel interrupted\nalive\n", "")
