"""Interrupts, killed workers, killed kernels: nothing hangs, nothing stays."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import psutil
import pytest

from tests.kernel.session import DEADLINE, KernelSession, gone, kernel

SLEEPER = (
    "%%parallel -n 2 -q\nimport time\nkept = []\nfor x in range(1000):\n"
    "    time.sleep(0.05)\n    print('item', x, flush=True)\n    kept.append(x)"
)
QUICK = "%%parallel -n 2 -q\nout = [x ** 2 for x in range(10)]"
SQUARES = [x**2 for x in range(10)]


class Gate:
    """A pipe with a name, by which work tells that it began, or waits until it may go on."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        # A file that `open` opens would be the kernel's: it has one name in all iterations.
        self.pass_it = f"os.write(os.open({str(path)!r}, os.O_WRONLY), b'x')"
        self.wait_for_it = f"os.read(os.open({str(path)!r}, os.O_RDONLY), 1)"

    def wait(self) -> None:
        """Until work has passed."""
        ready, _, _ = select.select([self._end], [], [], DEADLINE)
        assert ready, "the work never began"

    def open(self, times: int) -> None:
        """Let work go on, so many times."""
        os.write(self._end, b"x" * times)

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._end)


def workers(session: KernelSession) -> list[int]:
    """The ids of the processes that do the work."""
    cell = (
        "%%parallel -n 2 -q --chunk 1\nimport os, time\npids = set()\nfor x in range(12):\n"
        "    time.sleep(0.02)\n    pids.add(os.getpid())"
    )
    reply = session.execute(cell)
    assert reply.status == "ok", reply.traceback
    return sorted(session.value("sorted(pids)"))


def assert_usable(session: KernelSession) -> None:
    """The next cell gets its result."""
    reply = session.execute(QUICK)
    assert reply.status == "ok", reply.traceback
    assert session.value("out") == SQUARES


def test_load_starts_nothing_that_stays() -> None:
    with kernel(load=False) as session:
        session.execute("import threading")
        threads = session.value("threading.active_count()")
        processes = len(session.processes())
        assert session.execute("%load_ext mpmagic").status == "ok"
        extra = session.value(f"[t.daemon for t in threading.enumerate()][{threads}:]")
        assert all(extra), "a thread that the kernel's exit would wait for"
        assert len(session.processes()) == processes


def test_interrupt_ends_the_cell_and_keeps_the_pool() -> None:
    with kernel() as session:
        ident = session.start(SLEEPER)
        session.finish(ident, until="item 3")
        session.interrupt()
        reply = session.finish(ident)
        assert (reply.status, reply.content["ename"]) == ("error", "KeyboardInterrupt")
        assert reply.traceback.count("Cell In[") == 1
        assert "mpmagic" not in reply.traceback
        kept = session.value("kept")
        assert kept == list(range(len(kept)))
        assert 3 <= len(kept) < 1000
        assert_usable(session)


def test_interrupt_of_work_that_holds_on(tmp_path: Path) -> None:
    """Work that catches the interrupt is killed after the grace time."""
    with Gate(tmp_path / "started") as gate, kernel() as session:
        stubborn = (
            f"%%parallel -n 2 -q\nimport os, time\nfor x in range(4):\n    {gate.pass_it}\n"
            "    end = time.monotonic() + 50\n    while time.monotonic() < end:\n"
            "        try:\n            time.sleep(50)\n"
            "        except BaseException:\n            pass"
        )
        ident = session.start(stubborn)
        gate.wait()
        session.interrupt()
        reply = session.finish(ident)
        assert reply.content["ename"] == "KeyboardInterrupt"
        assert_usable(session)


def test_output_of_the_iteration_at_the_head_is_live(tmp_path: Path) -> None:
    """What the first iteration prints is seen before that iteration ends."""
    with Gate(tmp_path / "go") as gate, kernel() as session:
        cell = (
            "%%parallel -n 2 -q\nimport os\nfor x in range(2):\n    print('start', x, flush=True)\n"
            f"    {gate.wait_for_it}\n    y = abs(x)"
        )
        ident = session.start(cell)
        early = session.finish(ident, until="start 0")
        gate.open(2)
        assert early.stream().startswith("start 0")
        assert session.finish(ident).status == "ok"


def test_live_output_is_in_order_and_never_twice(tmp_path: Path) -> None:
    """Shown early or with the log: it's the text of the serial cell."""
    with Gate(tmp_path / "go") as gate, kernel() as session:
        cell = (
            "%%parallel -n 2 -q --chunk 2\nimport os, sys\n"
            "def pulled():\n    for x in range(4):\n        print('pull', x)\n        yield x\n"
            "out = []\nfor x in pulled():\n    print('start', end=' ')\n    print(x)\n"
            f"    {gate.wait_for_it}\n    print('read', x)\n    out.append(abs(x))\n"
            "    print('end', x)"
        )
        ident = session.start(cell)
        early = session.finish(ident, until="start 0\n")
        gate.open(4)
        rest = session.finish(ident)
        assert rest.status == "ok", rest.traceback
        lines = ("pull {0}\n", "start {0}\n", "read {0}\n", "end {0}\n")
        expected = "".join(line.format(x) for x in range(4) for line in lines)
        assert early.stream() + rest.stream() == expected


def test_killed_worker_is_an_error_and_the_pool_stays() -> None:
    suicide = (
        "%%parallel -n 2 -q --chunk 1\nimport os, signal\nkept = []\nfor x in range(8):\n"
        "    if x == 5:\n        os.kill(os.getpid(), signal.SIGKILL)\n    kept.append(x * 2)"
    )
    with kernel() as session:
        reply = session.execute(suicide)
        assert (reply.status, reply.content["ename"]) == ("error", "WorkerDied")
        assert "was killed by SIGKILL while it ran iteration 5;" in reply.traceback
        assert session.value("kept") == [0, 2, 4, 6, 8]
        assert_usable(session)


def test_worker_killed_from_outside() -> None:
    """An iteration that died by accident is retried, or the cell ends in an error: never a hang."""
    with kernel() as session:
        pids = workers(session)
        ident = session.start(SLEEPER.replace("1000", "40"))
        session.finish(ident, until="item 2")
        os.kill(pids[0], signal.SIGKILL)
        reply = session.finish(ident)
        assert reply.status == "ok" or reply.content["ename"] == "WorkerDied"
        kept = session.value("kept")
        assert kept == list(range(len(kept)))
        assert_usable(session)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_killed_kernel_leaves_no_process(busy: bool) -> None:
    session = KernelSession()
    try:
        workers(session)
        left = session.processes()
        assert left, "there is a pool to leave behind"
        if busy:
            session.finish(session.start(SLEEPER), until="item 2")
        os.kill(session_pid(left), signal.SIGKILL)
        assert gone(left), [p for p in left if p.is_running()]
    finally:
        session.close()


def session_pid(children: list[psutil.Process]) -> int:
    """The kernel's id, found without asking it: it may be busy."""
    ids = {child.pid for child in children}
    return next(int(child.ppid()) for child in children if child.ppid() not in ids)


def test_shutdown_leaves_no_process() -> None:
    with kernel() as session:
        workers(session)
        left = session.processes()
    assert gone(left), [p for p in left if p.is_running()]


def test_pool_follows_a_restart_of_the_kernel() -> None:
    with kernel() as session:
        workers(session)
        left = session.processes()
        session._manager.restart_kernel(now=True)
        session._client.wait_for_ready(timeout=60)
        assert gone(left)
        session.execute("%load_ext mpmagic")
        assert_usable(session)


def test_work_may_exit() -> None:
    """``os._exit`` and ``sys.exit`` in the work neither hang the cell nor harm the pool."""
    with kernel() as session:
        gone_cell = "%%parallel -n 2 -q\nimport os\nfor x in range(4):\n    y = os._exit(3)"
        reply = session.execute(gone_cell)
        assert (reply.status, reply.content["ename"]) == ("error", "WorkerDied")
        assert_usable(session)
