"""``--timeout``, ``--retries``, ``--keep-going`` in a real kernel: kills, interrupts, displays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.session import KernelSession, kernel


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        assert running.execute("import os, time").status == "ok"
        yield running


def waiting(path: Path, options: str) -> str:
    """A cell whose iteration 2 says who it is, and waits, as long as nobody has read that."""
    os.mkfifo(path)
    return (
        f"%%parallel -n 2 {options}\nout = []\nfor x in range(6):\n    print('at', x)\n"
        f"    if x == 2 and os.path.exists({str(path)!r}):\n"
        f"        pipe = os.open({str(path)!r}, os.O_WRONLY)\n"
        "        os.write(pipe, str(os.getpid()).encode())\n"
        "        os.close(pipe)\n"
        "        time.sleep(600)\n    out.append(x * x)\nout"
    )


def read_and_remove(path: Path) -> int:
    """Who waits; no later try will."""
    pid = int(path.read_text())
    path.unlink()
    return pid


def test_a_worker_that_is_killed(session: KernelSession, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    ident = session.start(waiting(path, "-q --retries 1"))
    os.kill(read_and_remove(path), signal.SIGKILL)
    reply = session.finish(ident)
    assert reply.result == "[0, 1, 4, 9, 16, 25]"
    assert reply.stream() == "".join(f"at {x}\n" for x in range(6))


def test_without_retries_it_is_left_out(session: KernelSession, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    ident = session.start(waiting(path, "--keep-going"))
    pid = read_and_remove(path)
    os.kill(pid, signal.SIGKILL)
    reply = session.finish(ident)
    assert "1 of 6 iterations of the loop in line 3 failed" in reply.shown
    assert session.value("out") == [0, 1, 9, 16, 25]
    (table,) = [
        c["data"] for c in reply.of("display_data") if "iteration" in c["data"]["text/plain"]
    ]
    assert f"worker process {pid}" in table["text/plain"] and "<table>" in table["text/html"]


def test_the_stop_button_ends_all_tries(session: KernelSession, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    ident = session.start(waiting(path, "-q --retries 9 --keep-going --timeout 500"))
    read_and_remove(path)
    session.interrupt()
    assert "KeyboardInterrupt" in session.finish(ident).traceback
    assert session.value("out") in ([], [0], [0, 1])
    assert session.execute("%parallel -q [x * x for x in map(abs, range(3))]").status == "ok"


def test_a_time_limit(session: KernelSession, tmp_path: Path) -> None:
    reply = session.execute(waiting(tmp_path / "nobody reads", "-q --timeout 1"))
    assert "IterationTimeout: iteration 2, x = 2" in reply.traceback
    assert "Traceback" not in reply.traceback
    assert session.value("out") == [0, 1]


def test_what_new_workers_run_first_takes_no_time_of_an_iteration(session: KernelSession) -> None:
    session.execute("%%parallel --each -n 2\nimport time\ntime.sleep(1.2)\nfactor = 3")
    session.execute("%mppool restart")
    code = "%parallel -q --timeout 1 [x * factor for x in map(abs, range(4))]"
    assert session.execute(code).result == "[0, 3, 6, 9]"
    session.execute("%mppool forget")
