"""A cell in the background of a real kernel: its line lives, and nothing outlives the kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.session import DEADLINE, KernelSession, Reply, gone, kernel

SETUP = """
import pathlib, time
go = pathlib.Path({go!r})
out = []
def wait(x):
    while x == 3 and not go.exists():
        time.sleep(0.005)
    print("work", x)
    return x
"""
CELL = """%%parallel -q --bg job --chunk 1
for x in range(6):
    out.append(wait(x))
    print("commit", x)
"""


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[KernelSession]:
    with kernel() as session:
        assert session.execute(SETUP.format(go=str(tmp_path / "go"))).status == "ok"
        reply = session.execute(CELL)
        assert reply.status == "ok" and not reply.of("stream") + reply.of("display_data")
        yield session


def last_line(session: KernelSession, ident: str) -> str:
    """What the display of that id is brought up to date with next."""
    end = time.monotonic() + DEADLINE
    while True:
        message = session._next(end, Reply())
        content = message["content"]
        if message["msg_type"] == "update_display_data":
            if content["transient"]["display_id"] == ident:
                return str(content["data"]["text/plain"])


def test_its_line_lives(begun: KernelSession, tmp_path: Path) -> None:
    (shown,) = begun.execute("job").of("display_data")
    assert shown["data"]["text/plain"].startswith("job: ")
    assert "its work goes on" in shown["data"]["text/plain"]
    assert "progressbar" in shown["data"]["text/html"]
    (tmp_path / "go").touch()
    line = ""
    while "its work is done" not in line:
        line = last_line(begun, shown["transient"]["display_id"])
    assert line == "job: 6 iterations, its work is done, job.commit() does the rest of the cell"
    reply = begun.execute("%mpcommit job")
    assert reply.stream() == "".join(f"work {x}\ncommit {x}\n" for x in range(6))
    assert begun.value("(out, x, repr(job))") == (list(range(6)), 5, "job: 6 iterations, committed")


def test_its_line_lives_while_it_is_committed(begun: KernelSession, tmp_path: Path) -> None:
    (shown,) = begun.execute("job").of("display_data")
    begun.start("job.commit()")
    line = ""
    while not line.endswith(", being committed"):
        line = last_line(begun, shown["transient"]["display_id"])
    (tmp_path / "go").touch()
    assert last_line(begun, shown["transient"]["display_id"]) == "job: 6 iterations, committed"


def test_tab_completes_its_name(begun: KernelSession) -> None:
    line = "%mpcommit "
    assert begun.complete(line, len(line))["matches"] == ["job"]
    assert "--anyway" in begun.complete(f"{line}--", len(line) + 2)["matches"]


def test_committed_while_it_works(begun: KernelSession, tmp_path: Path) -> None:
    ident = begun.start("job.commit()")
    first = begun.finish(ident, until="commit 2\n")
    assert first.stream() == "".join(f"work {x}\ncommit {x}\n" for x in range(3))
    (tmp_path / "go").touch()
    assert begun.finish(ident).status == "ok"
    assert begun.value("out") == list(range(6))


def test_an_interrupt_ends_the_wait_alone(begun: KernelSession, tmp_path: Path) -> None:
    ident = begun.start("print('waits', flush=True)\njob.wait()")
    begun.finish(ident, until="waits")
    begun.interrupt()
    assert "KeyboardInterrupt" in begun.finish(ident).traceback
    (tmp_path / "go").touch()
    assert begun.value("job.wait()") is True
    assert begun.execute("job.commit()").status == "ok"
    assert begun.value("out") == list(range(6))


def test_an_interrupt_of_the_commits(begun: KernelSession) -> None:
    ident = begun.start("job.commit()")
    begun.finish(ident, until="commit 2\n")
    begun.interrupt()
    assert "KeyboardInterrupt" in begun.finish(ident).traceback
    assert begun.value("(out, x)") == ([0, 1, 2], 2)
    assert "was ended by an exception before" in begun.execute("job.commit()").traceback
    assert begun.execute("%%parallel -q\nmore = [wait(x) for x in (7, 8)]").status == "ok"


def test_nothing_is_left_when_the_kernel_ends(begun: KernelSession) -> None:
    processes = begun.processes()
    assert processes
    begun.kill()
    assert gone(processes)
