"""A cell whose kernel is lost goes on in another one where it was."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mpmagic.run.keeping import Kind, LogFile
from tests.kernel.session import DEADLINE, KernelSession, gone, kernel

SETUP = """
import enum, pathlib, time
import numpy as np
import pandas as pd
marks, go = pathlib.Path({marks!r}), pathlib.Path({go!r})
class Colour(enum.Enum):
    RED = 1
    BLUE = 2
class Point:
    kinds = {{"a", "b", "c", "dd", "eee"}}
    def __init__(self, x):
        self.x = x
table = pd.DataFrame({{"k": list("abc"), "v": np.arange(3.0)}})
points = [Point(x) for x in range(12)]
hole = float("nan")
def work(point):
    (marks / f"{{point.x}}-{{time.time_ns()}}").touch()
    while point.x == 9 and not go.exists():
        time.sleep(0.005)
    print("work", point.x)
    big = np.full(100_000, point.x)
    return Point(point.x), Colour.RED, {{"a", "b"}} | Point.kinds, hole, big, table[table.v > 1]
"""
CELL = """%%parallel -q -n 2 --chunk 1 --resume {file}
import warnings
out = []
for p in points:
    result = work(p)
    warnings.warn(f"took {{p.x}}")
    out.append(result)
"""
CHECK = """(
    len(out), [r[0].x for r in out], all(type(r[0]) is Point for r in out),
    all(r[1] is Colour.RED for r in out), all(r[2] == Point.kinds for r in out),
    all(r[3] is hole for r in out), [int(r[4].sum()) for r in out], out[3][5].equals(table[2:]),
)"""
SEEN = (
    12, list(range(12)), True, True, True, True, [x * 100_000 for x in range(12)], True
)  # fmt: skip


def calls(folder: Path) -> list[int]:
    """The items that were worked on, once for each time."""
    return sorted(int(mark.name.partition("-")[0]) for mark in folder.iterdir())


def kept(file: Path) -> int:
    """How many chunks a file holds: it is read without its lock, while a cell writes to it."""
    copy = file.with_suffix(".copy")
    copy.write_bytes(file.read_bytes())
    opened = LogFile(copy)
    try:
        return sum(record.kind is Kind.CHUNK for record in opened.records())
    finally:
        opened.close()


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "marks").mkdir()
    return {"marks": str(tmp_path / "marks"), "go": str(tmp_path / "go")}


def begun(session: KernelSession, places: dict[str, str], file: Path) -> str:
    """Run the cell up to the item that waits; the number of the request."""
    assert session.execute(SETUP.format(**places)).status == "ok"
    ident = session.start(CELL.format(file=file))
    session.finish(ident, until="work 8\n")
    return ident


def test_a_kernel_that_is_killed(tmp_path: Path, places: dict[str, str]) -> None:
    file, marks = tmp_path / "kept", Path(places["marks"])
    with kernel(env={"PYTHONHASHSEED": "1"}) as session:
        begun(session, places, file)
        parent = psutil.Process(session.kernel_pid)
        processes = [parent, *parent.children(recursive=True)]
        session.kill()
        assert gone(processes, within=DEADLINE)
    before = calls(marks)
    there = kept(file)
    assert there >= 9
    (tmp_path / "go").touch()
    with kernel(env={"PYTHONHASHSEED": "2"}) as session:
        assert session.execute(SETUP.format(**places)).status == "ok"
        reply = session.execute(CELL.format(file=file))
        assert reply.status == "ok", reply.traceback
        assert session.value(CHECK) == SEEN
        assert reply.stream() == "".join(f"work {x}\n" for x in range(12))
        assert reply.stream("stderr").count("UserWarning: took") == 12
        report = session.value("[(r.iterations, r.resumed) for r in "
                               "get_ipython().magics_manager.registry['ParallelMagics']"
                               ".last_run.loops]")  # fmt: skip
        assert report == [(12, there)]
        assert len(calls(marks)) == len(before) + 12 - there
        assert not file.exists()


def test_the_stop_button(tmp_path: Path, places: dict[str, str]) -> None:
    """What was finished is said to be kept, and the same kernel goes on."""
    file = tmp_path / "kept"
    with kernel() as session:
        ident = begun(session, places, file)
        session.interrupt()
        stopped = session.finish(ident)
        assert "KeyboardInterrupt" in stopped.traceback and file.exists()
        (tmp_path / "go").touch()
        reply = session.execute(CELL.replace("-q ", "").format(file=file))
        assert reply.status == "ok", reply.traceback
        assert "of them done before" in reply.shown
        assert session.value(CHECK) == SEEN and not file.exists()
