"""Calls outside of loops, side by side on the real pool."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.session import KernelSession, kernel

# In a module: the notebook's own functions that write files are kept in order.
MEETING = """
import os, signal, time

def meet(own, other):
    '''Tell the other one, and wait until the other one has told us.'''
    with open(own, "r+b", buffering=0) as mine, open(other, "r+b", buffering=0) as theirs:
        theirs.write(b"x")
        mine.read(1)
    return os.getpid()

def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""
SETUP = """
import os, sys, random
sys.path.insert(0, {directory!r})
os.chdir({directory!r})
import meeting
for name in "ab":
    os.mkfifo(name)
def square(x):
    print("square", x)
    return x * x
def draw(n):
    return [random.random() for _ in range(n)]
"""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[KernelSession]:
    (tmp_path / "meeting.py").write_text(MEETING)
    with kernel() as running:
        reply = running.execute(SETUP.format(directory=str(tmp_path)))
        assert reply.status == "ok", reply.traceback
        yield running


def test_two_calls_run_at_the_same_time(session: KernelSession) -> None:
    """Each waits for what the other one does: one after the other they would never end."""
    reply = session.execute(
        "%%parallel -n 2\nfirst = meeting.meet('a', 'b')\nsecond = meeting.meet('b', 'a')"
    )
    assert reply.status == "ok", reply.traceback
    pids = session.value("[first, second, os.getpid()]")
    assert len(set(pids)) == 3
    assert "2 calls in" in reply.shown


def test_a_call_begins_when_its_own_arguments_are_there(session: KernelSession) -> None:
    """The third one needs the second only, and the first needs the third to end."""
    reply = session.execute(
        "%%parallel -n 2\none = meeting.meet('a', 'b')\ntwo = square(3)\n"
        "three = meeting.meet(*['b', 'a'][: two])"
    )
    assert reply.status == "ok", reply.traceback
    assert session.value("two") == 9


def test_output_and_result(session: KernelSession) -> None:
    reply = session.execute(
        "%%parallel -q\na = square(2)\nb = square(3)\nc = square(a + b)\n(a, b, c)"
    )
    assert reply.stream() == "square 2\nsquare 3\nsquare 13\n"
    assert reply.result == "(4, 9, 169)"


def test_explain_runs_nothing(session: KernelSession) -> None:
    reply = session.execute("%%parallel --explain\na = square(2)\nb = square(3)\nc = square(a)")
    (shown,) = reply.of("display_data")
    assert "<table" in shown["data"]["text/html"]
    lines = shown["data"]["text/plain"].splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["work", "work", "work"]
    assert lines[1].endswith("# runs beside line 3")
    assert lines[2].endswith("# runs beside lines 2 and 4")
    assert lines[3].endswith("# runs beside line 3, waits for line 2")
    assert session.value("'a' in globals()") is False


def test_refusal_says_what_would_help(session: KernelSession) -> None:
    reply = session.execute("%%parallel\na = square(2)\nprint(a)\nb = open('x', 'w')")
    assert reply.content["ename"] == "NotParallel"
    assert "Put such calls next to each other, or into a loop" in reply.traceback
    assert session.value("os.path.exists('x')") is False


def test_or_serial_says_so(session: KernelSession) -> None:
    reply = session.execute("%%parallel --or-serial\na = square(2)\nprint(a)")
    assert reply.status == "ok"
    assert "the cell ran in the kernel: the cell has no loop" in reply.shown


def test_seed_gives_each_statement_a_stream_of_its_own(session: KernelSession) -> None:
    """The same for any number of workers, and the notebook's own stream stays."""
    cell = "%%parallel -q --seed 3 -n {workers}\na = draw(2)\nb = draw(2)"
    session.execute("random.seed(1)\nstate = random.getstate()")
    assert session.execute(cell.format(workers=1)).status == "ok"
    one = session.value("[a, b]")
    assert session.execute(cell.format(workers=2)).status == "ok"
    assert session.value("[a, b]") == one
    assert one[0] != one[1]
    assert session.value("state == random.getstate()")


def test_interrupt(session: KernelSession) -> None:
    ident = session.start(
        "%%parallel -n 2 -q\nx = square(1)\ny = square(2)\n"
        "z = meeting.time.sleep(50)\nw = meeting.time.sleep(51)"
    )
    session.finish(ident, until="square 2")
    session.interrupt()
    reply = session.finish(ident)
    assert reply.content["ename"] == "KeyboardInterrupt"
    assert session.value("[x, y, 'z' in globals()]") == [1, 4, False]
    again = session.execute("%%parallel -q\na = square(2)\nb = square(3)")
    assert again.status == "ok", again.traceback


def test_killed_worker(session: KernelSession) -> None:
    reply = session.execute("%%parallel -n 2 -q\nx = square(1)\ny = meeting.die()\nz = square(3)")
    assert reply.content["ename"] == "WorkerDied"
    assert "while it ran line 3;" in reply.traceback
    assert session.value("[x, 'y' in globals(), 'z' in globals()]") == [1, False, False]
    again = session.execute("%%parallel -q\na = square(2)\nb = square(3)")
    assert again.status == "ok", again.traceback


def test_traceback_shows_the_cell(session: KernelSession) -> None:
    reply = session.execute("%%parallel -q\na = square(1)\nb = square('x')\nc = square(2)")
    assert reply.content["ename"] == "TypeError"
    plain = re.sub(r"\x1b\[[\d;]*m", "", reply.traceback)
    assert re.search(r"Cell In\[\d+\], line 3\n", plain), plain
    assert "can't multiply sequence" in plain
    assert "mpmagic" not in plain
