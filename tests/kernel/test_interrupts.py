"""One interrupt ends a cell, whatever its work does: from the front end and from a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.kernel.session import KernelSession, gone, kernel

WORK = {
    "python": "t = 0\n        while True:\n            t += 1",
    "sleep": "time.sleep(1000)",
    "numpy": "m = np.ones((300, 300))\n        while True:\n            m = m @ m % 7",
    "one long call": "np.arange(1 << 27).astype(object).sum()",
    "ignored": "signal.signal(signal.SIGINT, signal.SIG_IGN)\n        while True:\n"
    "            time.sleep(1000)",
    "caught": "while True:\n            try:\n                time.sleep(1000)\n"
    "            except BaseException:\n                pass",
}
CELL = """\
%%parallel -q -n 2 --chunk 1
import os, signal, time
import numpy as np
kept = []
for x in range(40):
    y = os.getpid()
    if x >= 6:
        print('stuck', y, flush=True)
        {work}
    kept.append(x)
"""
NEXT = "%%parallel -q -n 2\nout = [x + 1 for x in range(5)]\nprint('next', out)"


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    """One kernel for all: the interrupted cells must leave it usable."""
    with kernel() as running:
        yield running


@pytest.mark.parametrize("kind", WORK)
def test_the_stop_button(session: KernelSession, kind: str) -> None:
    ident = session.start(CELL.format(work=WORK[kind]))
    session.finish(ident, until="stuck")
    busy = _workers(session)
    session.interrupt()
    reply = session.finish(ident)
    assert reply.content["ename"] == "KeyboardInterrupt"
    assert "next [1, 2, 3, 4, 5]" in session.execute(NEXT).stream()
    assert session.value("kept") == [0, 1, 2, 3, 4, 5]
    _assert_calm(busy)


CHANGING = """\
%%parallel -q -n 2 --chunk 1
import time
for x in range(40):
    if x >= 6:
        print('stuck', flush=True)
        time.sleep(1000)
    y = add(x)
    kept.append(y)
"""


def test_the_stop_button_and_work_that_changes_what_it_reads(session: KernelSession) -> None:
    """What was committed by then may come from what the work has changed unseen."""
    session.execute(
        "big, kept = [['x' * 2_000_000]], []\n"
        "def add(x):\n    getattr(big[0], 'app' + 'end')(x)\n    return len(big[0])"
    )
    ident = session.start(CHANGING)
    session.finish(ident, until="stuck")
    session.interrupt()
    reply = session.finish(ident)
    assert reply.content["ename"] == "LostWrite"
    assert "changed `big`" in reply.content["evalue"]
    assert "next [1, 2, 3, 4, 5]" in session.execute(NEXT).stream()


AHEAD = """\
%%parallel -q -n 2 --chunk 1
import random, time
random.seed(3)
count, last, kept = 0, None, []
for x in range(40):
    draw = random.random()
    count += 1
    if x >= 6:
        print('stuck', flush=True)
        time.sleep(1000)
    kept.append((draw, count, last))
    last = x
"""
LEFT = """\
stream = random.Random(3)
drawn = [stream.random() for _ in range(6)]
expected = [(drawn[n], n + 1, n - 1 if n else None) for n in range(6)]
left = kept == expected, count, last, random.random() == stream.random()
"""


def test_what_ran_ahead_is_where_the_commits_are(session: KernelSession) -> None:
    ident = session.start(AHEAD)
    session.finish(ident, until="stuck")
    session.interrupt()
    assert session.finish(ident).content["ename"] == "KeyboardInterrupt"
    session.execute(LEFT)
    assert session.value("left") == (True, 6, 5, True)


def _workers(session: KernelSession) -> list[psutil.Process]:
    # Not by asking the kernel, which is busy.
    children = psutil.Process(session.kernel_pid).children(recursive=True)
    parents = {child.ppid() for child in children}
    return [child for child in children if child.pid not in parents]


def _assert_calm(workers: list[psutil.Process]) -> None:
    """No worker goes on with what was stopped: it has ended, or waits."""
    for worker in workers:
        try:
            before = sum(worker.cpu_times()[:2])
            worker.wait(0.3)
            after = sum(worker.cpu_times()[:2])
        except psutil.TimeoutExpired:
            after = sum(worker.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
        assert after - before < 0.2, f"{worker.pid} works on"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pexpect.spawn]:
    """IPython behind a terminal of its own, whose Ctrl-C goes to all processes of its group."""
    home = str(tmp_path_factory.mktemp("ipython"))
    arguments = ["-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner"]
    env = {**os.environ, "IPYTHONDIR": home, "TERM": "dumb"}
    child = pexpect.spawn(
        sys.executable, arguments, env=env, encoding="utf-8", timeout=60, echo=False
    )
    child.expect(r"In \[1\]: ")
    child.sendline("%load_ext mpmagic")
    yield child
    left = psutil.Process(child.pid).children(recursive=True)
    child.close(force=True)
    assert gone(left)


@pytest.mark.parametrize("kind", WORK)
def test_control_c(terminal: pexpect.spawn, tmp_path: Path, kind: str) -> None:
    run = _typed(terminal, tmp_path)
    run(CELL.format(work=WORK[kind]))
    terminal.expect(r"stuck \d+")
    terminal.sendintr()
    terminal.expect_exact("KeyboardInterrupt")
    run(NEXT)
    terminal.expect_exact("next [1, 2, 3, 4, 5]")
    run("print('kept', kept)")
    terminal.expect_exact("kept [0, 1, 2, 3, 4, 5]")


def _typed(terminal: pexpect.spawn, folder: Path) -> Callable[[str], None]:
    """Run cells by one typed line each: a prompt indents what is typed line by line."""
    path = folder / "cell.py"

    def run(source: str) -> None:
        path.write_text(source)
        terminal.sendline(f"get_ipython().run_cell(open({str(path)!r}).read());")

    return run
