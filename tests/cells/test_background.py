"""Cells of the table in the background: committed, they leave what the serial cell leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpmagic.background import BackgroundCell
from mpmagic.errors import ChangedMeanwhile, EndedBefore
from tests.cells.gaps import RACES
from tests.cells.table import Case, load_cases
from tests.compare import Verdict, against, assert_equal, explained, judge
from tests.notebook import BACKGROUND, Notebook

GROUPS = ("ahead", "commits", "counters", "exceptions", "flow", "identity", "iterables", "output",
          "prepared", "random", "temporaries")  # fmt: skip
HARNESS = {"exceptions/system-exit-in-the-work"}  # of which IPython warns that runs the cell
CASES = [
    pytest.param(case, id=case.id)
    for case in load_cases()
    if case.id.partition("/")[0] in GROUPS and case.engine in ("", "inline")
    if case.id not in RACES and case.id not in HARNESS
]
OPTION = f"--bg {BACKGROUND}"
NOT_BEGUN = ("`--bg` sends the work", "has to run in the kernel")


@pytest.mark.parametrize("case", CASES)
def test_cells_of_the_table(case: Case, notebook: Notebook) -> None:
    serial = notebook.run(case.setup, case.source)
    judgement = against(
        notebook, serial, case.source, setup=case.setup, options=f"{OPTION} {case.options}",
        lost=case.lost, free=case.free,
    )  # fmt: skip
    words = explained(judgement, case.source)
    if any(part in str(judgement.parallel.error) for part in NOT_BEGUN):
        return
    if case.verdict == "parallel":
        assert judgement.verdict is Verdict.EQUAL, words
    else:
        assert judgement.verdict is not Verdict.DIFFERENT, words


SETUP = """
xs, factor, out = list(range(20)), 2, []
def slow(x):
    return x * x * factor
"""
LOOP = "for x in xs:\n    y = slow(x)\n    out.append(y)\n    print(x)\nsum(out)"


@pytest.mark.parametrize("options", ["", "--chunk 3", "--retries 1", "--keep-going"])
def test_on_the_pool(pool_notebook: Notebook, options: str) -> None:
    judgement = assert_equal(pool_notebook, LOOP, setup=SETUP, options=f"{OPTION} {options}")
    (loop,) = judgement.parallel.report.loops
    assert loop.iterations == 20


def test_what_the_compiler_warns_of(pool_notebook: Notebook) -> None:
    """What it says of the loop is said with the commits, of what stands before it before that."""
    loop = "for x in xs:\n    y = slow(x)\n    out.append((y, 1 is x))"
    assert_equal(pool_notebook, loop, setup=SETUP, options=OPTION)
    assert_equal(pool_notebook, f"1 is factor\n{loop}\n2 is y", setup=SETUP, options=OPTION)


def test_what_stands_before_and_after(pool_notebook: Notebook) -> None:
    cell = f"out = []\nprint('before', factor)\n{LOOP}\nmore = [slow(y) for y in out]\nmore[-1]"
    judgement = assert_equal(pool_notebook, cell, setup=SETUP, options=OPTION)
    assert len(judgement.parallel.report.loops) == 2


@pytest.fixture
def begun(pool_notebook: Notebook) -> Notebook:
    pool_notebook.run(SETUP, f"%%parallel -q --bg job\n{LOOP}")
    return pool_notebook


def job_of(notebook: Notebook) -> BackgroundCell:
    job = notebook.shell.user_ns["job"]
    assert isinstance(job, BackgroundCell)
    return job


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("factor = 3", "factor"),
        ("xs.append(1)", "xs"),
        ("out.append(1)", "out"),
        ("del out", "out"),
    ],
)
def test_changed_in_between(begun: Notebook, change: str, name: str) -> None:
    begun.shell.run_cell(change)
    before = dict(begun.shell.user_ns)
    with pytest.raises(ChangedMeanwhile, match=f"`{name}` isn't what it was"):
        job_of(begun).commit()
    assert begun.shell.user_ns == before and job_of(begun).wait()


def test_changed_and_committed_anyway(begun: Notebook) -> None:
    begun.shell.run_cell("factor = 3")
    job_of(begun).commit(anyway=True)
    assert begun.shell.user_ns["out"] == [2 * x * x for x in range(20)]


def test_bound_anew_to_the_same(begun: Notebook) -> None:
    begun.shell.run_cell("factor, xs = 2, list(xs)")
    begun.shell.run_line_magic("mpcommit", "job")
    assert begun.shell.user_ns["y"] == 2 * 19 * 19


def test_it_is_committed_once(begun: Notebook) -> None:
    job = job_of(begun)
    job.commit()
    with pytest.raises(EndedBefore, match="`job` was committed before"):
        job.commit()
    assert len(begun.shell.user_ns["out"]) == 20


def test_cancelled(begun: Notebook) -> None:
    job = job_of(begun)
    job.cancel()
    job.cancel()
    assert job.done() and begun.shell.user_ns["out"] == []
    with pytest.raises(EndedBefore, match="`job` was cancelled before"):
        job.commit()


def test_begun_anew_under_its_name(begun: Notebook) -> None:
    former = job_of(begun)
    begun.shell.run_cell(f"%%parallel -q --bg job\n{LOOP}")
    assert repr(former).endswith("cancelled")
    job_of(begun).commit()
    assert len(begun.shell.user_ns["out"]) == 20


def test_an_exception_ends_it(pool_notebook: Notebook) -> None:
    pool_notebook.run(SETUP, "%%parallel -q --bg job\nfor x in xs:\n    out.append(1 / (x - 3))")
    job = job_of(pool_notebook)
    with pytest.raises(ZeroDivisionError):
        job.commit()
    assert len(pool_notebook.shell.user_ns["out"]) == 3
    with pytest.raises(EndedBefore, match="ended by an exception"):
        job.commit()


def test_other_cells_run_meanwhile(pool_notebook: Notebook) -> None:
    """One of its iterations waits for them, and all others find their turn."""
    cell = "%%parallel -q -n 2 --bg job\nfor x in xs:\n    y = wait(x)\n    out.append(y)"
    pool_notebook.run(SETUP + WAITING, cell)
    job = job_of(pool_notebook)
    pool_notebook.shell.run_cell("%%parallel -q\nothers = [slow(x) for x in xs]")
    assert not job.done() and not job.wait(0)
    Path("go").touch()
    assert pool_notebook.shell.user_ns["others"][-1] == 2 * 19 * 19
    assert job.wait() and job.progress == (20, 20)
    job.commit()
    assert pool_notebook.shell.user_ns["out"] == list(range(20))


WAITING = """
import pathlib, time
def wait(x):
    while x == 0 and not pathlib.Path("go").exists():
        time.sleep(0.001)
    return x
"""
REFUSED = {
    "comprehension": "out = [slow(x) for x in xs]",
    "inside another statement": "if xs:\n    for x in xs:\n        out.append(slow(x))",
    "calls": "a = slow(1)\nb = slow(2)",
}


@pytest.mark.parametrize("cell", REFUSED.values(), ids=list(REFUSED))
def test_refused(pool_notebook: Notebook, cell: str) -> None:
    judgement = judge(pool_notebook, cell, setup=SETUP, options="--bg job")
    assert judgement.verdict is Verdict.REFUSED and NOT_BEGUN[0] in judgement.why


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%%parallel --bg 2x", "2x is not a name"),
        ("%%parallel --bg job --each", "--bg doesn't go with --each"),
        ("%%parallel --bg job --or-serial", "--or-serial doesn't go with --bg"),
        ("%%parallel --bg job --on threads", "Use `--on processes`"),
        ("%mpcommit", "a name is missing"),
        ("%mpcommit xs", "`xs` is a list, and no cell in the background"),
        ("%mpcommit nowhere", "`nowhere` is not there"),
    ],
)
def test_mistakes(pool_notebook: Notebook, line: str, says: str) -> None:
    cell = f"{line}\n{LOOP}" if line.startswith("%%") else line
    assert says in str(pool_notebook.run(SETUP, cell).error)
