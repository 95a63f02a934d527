"""The table of workers, and the line under a cell."""

from __future__ import annotations

import re

from mpmagic.pool import WorkerState, WorkerStatus
from mpmagic.run.options import CallsReport, LoopReport, RunReport
from mpmagic.show.pooltable import WorkerTable
from mpmagic.show.summary import Stopped, Summary

BUSY = WorkerStatus(
    pid=4711,
    state=WorkerState.BUSY,
    label="iterations 3 to 12",
    since=2.5,
    done=7,
    rss=31_000_000,
    restarts=1,
    cpu=3.5,
    mark=8,
)
IDLE = WorkerStatus(4712, WorkerState.IDLE, "", 60.0, 9, 0, 0)
BEFORE = WorkerStatus(4711, WorkerState.BUSY, "", 0.0, 7, 0, 1, cpu=3.0)


def test_a_row_says_everything() -> None:
    head, busy, idle = repr(WorkerTable([BUSY, IDLE], [BEFORE], 1.0)).splitlines()
    assert re.split(r"\s{2,}", head.strip()) == [
        "pid", "state", "at", "for", "tasks", "CPU time", "CPU", "memory", "restarts",
    ]  # fmt: skip
    assert re.split(r"\s{2,}", busy) == [
        "4711", "busy", "iterations 3 to 12, at 8", "2.5 s", "7", "3.5 s", "50%", "31.0 MB", "1",
    ]  # fmt: skip
    assert idle.split() == ["4712", "idle", "9", "0"]


def test_html_has_a_cell_for_each() -> None:
    html = WorkerTable([BUSY, IDLE], [BEFORE], 1.0)._repr_html_()
    assert html.count("<tr") == 3
    assert html.count("<td") == 18
    assert "iterations 3 to 12, at 8" in html


def test_an_idle_pool_stays_equal_and_a_busy_one_does_not() -> None:
    assert WorkerTable([IDLE]) == WorkerTable([IDLE])
    assert WorkerTable([IDLE]) != WorkerTable([BUSY])


def test_nobody() -> None:
    assert "no workers" in repr(WorkerTable([]))
    assert "no workers" in WorkerTable([])._repr_html_()


def report(*, wall: float, work: float, iterations: int = 1000) -> RunReport:
    loop = LoopReport(3, iterations=iterations, wall=wall, work=work, total=iterations)
    return RunReport(loops=[loop])


def test_a_summary_says_what_was_gained() -> None:
    assert repr(Summary(report(wall=2.0, work=7.6), 4)) == (
        "%%parallel: 1,000 iterations in 2.0 s on 4 workers, 7.6 s of work: 3.8 times as fast"
    )
    assert repr(Summary(report(wall=2.0, work=0.1), 4)).endswith("too little for workers to help")
    assert repr(Summary(report(wall=2.0, work=1.9), 4)).endswith("no faster than without workers")
    tiny = repr(Summary(report(wall=0.008, work=0.001, iterations=1), 1))
    assert tiny == "%%parallel: 1 iteration in 8.0 ms on 1 worker"


def test_a_summary_names_what_stayed() -> None:
    told = report(wall=0.008, work=0.001)
    told.stayed.append((7, "it reads <x>"))
    told.calls.append(CallsReport(9, calls=2, beside=1, wall=0.001))
    assert "the loop in line 7 ran in the kernel: it reads <x>" in repr(Summary(told, 2))
    assert "2 calls in 1.0 ms" in repr(Summary(told, 2))
    assert "&lt;x&gt;" in Summary(told, 2)._repr_html_()


def test_a_cell_that_did_not_come_to_its_end() -> None:
    told = report(wall=3.0, work=5.0)
    told.loops[0].iterations = 120
    stopped = repr(Stopped(told, KeyboardInterrupt()))
    assert stopped == (
        "%%parallel: interrupted after 120 of 1,000 iterations of the loop in line 3, in 3.0 s"
    )
    assert "ended by an error" in repr(Stopped(told, ValueError()))
    calls = RunReport(calls=[CallsReport(2, calls=1, wall=2.0)])
    assert repr(Stopped(calls, ValueError())).endswith("after 1 call in 2.0 s")
