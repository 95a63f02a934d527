"""Cells end to end: a real kernel, the real pool, what a front end receives."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.session import KernelSession, kernel

DEFINITIONS = """
import time
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: float = 0.5

def slow(x):
    return x * x + 1

def fail(x):
    if x == 3:
        raise ValueError("three", x)
    return x
"""


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        assert running.execute(DEFINITIONS).status == "ok"
        yield running


def test_functions_and_classes_of_the_notebook(session: KernelSession) -> None:
    reply = session.execute(
        "%%parallel\nout = []\nfor x in range(20):\n    out.append(Point(slow(x)))\nlen(out)"
    )
    assert (reply.status, reply.result) == ("ok", "20")
    assert session.value("[p.x for p in out]") == [x * x + 1 for x in range(20)]
    assert session.value("all(type(p) is Point for p in out)")


@pytest.mark.parametrize("points", ["[Point(i) for i in range(3)]", "range(3)"])
def test_work_pickles_what_is_of_the_notebook(session: KernelSession, points: str) -> None:
    """Where the work names the class, and where only its items have it."""
    value = "p" if "Point" in points else "Point(p)"
    cell = f"%%parallel -q\nimport pickle\nblobs = [pickle.dumps({value}) for p in {points}]"
    assert session.execute(cell).status == "ok"
    serial = "[pickle.dumps(Point(i)) for i in range(3)]"
    assert session.value(f"blobs == {serial}")
    cell = "%%parallel -q\nback = [pickle.loads(blob) for blob in blobs]"
    assert session.execute(cell).status == "ok"
    assert session.value("back == [Point(i) for i in range(3)]")


def test_work_runs_in_other_processes(session: KernelSession) -> None:
    cell = "%%parallel -n 2\nimport os\npids = set()\nfor x in range(8):\n    pids.add(os.getpid())"
    assert session.execute(cell).status == "ok"
    assert session.pid not in session.value("sorted(pids)")


def test_streams_in_order(session: KernelSession) -> None:
    cell = (
        "%%parallel -q\nimport sys\nfor x in range(30):\n"
        "    print('out', x)\n    print('err', x, file=sys.stderr)"
    )
    reply = session.execute(cell)
    assert reply.stream() == "".join(f"out {x}\n" for x in range(30))
    assert reply.stream("stderr") == "".join(f"err {x}\n" for x in range(30))


def test_output_comes_while_the_loop_runs(session: KernelSession, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cell = (
        "%%parallel -q -n 2\nimport os\nfor x in range(2):\n    print('item', x)\n"
        f"    while x == 1 and not os.path.exists({str(gate)!r}):\n        time.sleep(0.01)"
    )
    ident = session.start(cell)
    early = session.finish(ident, until="item 0")
    gate.touch()
    late = session.finish(ident)
    assert late.status == "ok"
    assert (early.stream() + late.stream()).startswith("item 0\nitem 1\n")


def test_display_arrives_as_display(session: KernelSession) -> None:
    cell = (
        "%%parallel -q\nfrom IPython.display import HTML, display\nfor x in range(3):\n"
        "    y = slow(x)\n    print('before', x)\n    display(HTML(f'<b>{y}</b>'))"
    )
    reply = session.execute(cell)
    assert [c["data"]["text/html"] for c in reply.of("display_data")] == [
        "<b>1</b>",
        "<b>2</b>",
        "<b>5</b>",
    ]
    kinds = [m["msg_type"] for m in reply.messages if m["msg_type"] in ("stream", "display_data")]
    assert kinds == ["stream", "display_data"] * 3


def test_last_expression_is_the_cells_result(session: KernelSession) -> None:
    reply = session.execute(
        "%%parallel -q\ntotal = 0\nfor x in range(5):\n    total += slow(x)\ntotal"
    )
    assert reply.result == "35"
    count = reply.of("execute_result")[0]["execution_count"]
    assert reply.content["execution_count"] == count
    assert session.value(f"Out[{count}]") == 35
    assert session.value("_") == 35


def test_semicolon_shows_nothing(session: KernelSession) -> None:
    reply = session.execute(
        "%%parallel -q\ntotal = 0\nfor x in range(5):\n    total += slow(x)\ntotal;"
    )
    assert (reply.status, reply.result, reply.stream()) == ("ok", "", "")


def test_error_reply(session: KernelSession) -> None:
    cell = "%%parallel -q\nkept = []\nfor x in range(6):\n    y = fail(x)\n    kept.append(y)"
    reply = session.execute(cell)
    assert reply.status == "error"
    assert (reply.content["ename"], reply.content["evalue"]) == ("ValueError", "('three', 3)")
    assert len(reply.of("error")) == 1
    assert "line 4" in reply.traceback
    assert f"Cell In[{reply.content['execution_count']}]" in reply.traceback
    assert re.search(r"-> 4 +y = fail\(x\)\n", reply.traceback)
    assert re.search(r"-> \d+ +raise ValueError", reply.traceback)
    assert "mpmagic" not in reply.traceback
    assert session.value("kept") == [0, 1, 2]


def test_run_all_stops_after_an_error(session: KernelSession, tmp_path: Path) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    waits = f"with open({str(gate)!r}) as gate:\n    gate.read()\n"
    first = session.start(f"%%parallel -q\n{waits}for x in range(6):\n    y = fail(x)")
    second = session.start("after_error = 1")
    gate.write_text("")  # only now: a request that comes after the error isn't aborted
    assert session.finish(first).status == "error"
    assert session.finish(second).status == "aborted"


def test_refusal_names_line_and_reason(session: KernelSession) -> None:
    reply = session.execute("%%parallel\nstate = 1\nfor x in range(5):\n    state = slow(state)")
    assert (reply.status, reply.content["ename"]) == ("error", "NotParallel")
    assert "state" in reply.content["evalue"]
    assert "line 4" in reply.content["evalue"]
    assert session.execute("state").status == "error"


def test_syntax_error_as_ipython_shows_it(session: KernelSession) -> None:
    reply = session.execute("%%parallel\nfor x in range(5)\n    y = slow(x)")
    assert (reply.status, reply.content["ename"]) == ("error", "SyntaxError")
    assert "line 2" in reply.traceback
    assert "run_cell_magic" not in reply.traceback


def test_indentation_error_has_the_line_of_the_cell(session: KernelSession) -> None:
    reply = session.execute("%%parallel\nfor x in range(5):\n        y = 1\n    z = 2")
    assert reply.content["ename"] == "IndentationError"
    assert "line 4" in reply.traceback
    assert "run_cell_magic" not in reply.traceback


def test_syntax_errors_of_other_code_keep_their_frames(session: KernelSession) -> None:
    caught = (
        "try:\n    get_ipython().run_cell_magic('parallel', '', 'x = = 1')\n"
        "except SyntaxError:\n    pass"
    )
    assert session.execute(caught).status == "ok"
    assert "Traceback" in session.execute("exec('x = = 3')").traceback


FAILURES = [
    ("out = []\nfor x in range(3):\n    y = abs(x)\n    out.append(1 // y)", "out.append(1 // y)"),
    ("out = []\nfor x in range(3):\n    y = slow(x)\n    out[y] = y", "out[y] = y"),
    (
        "def far(x):\n    y = x\n    return 1 // y\nout = [far(x) for x in range(3)]",
        "return 1 // y",
    ),
    ("a = slow(1)\nb = slow(1 // 0)", "b = slow(1 // 0)"),
]


@pytest.mark.parametrize("cell, line", FAILURES)
def test_arrow_points_at_the_line_that_raised(session: KernelSession, cell: str, line: str) -> None:
    shown = session.execute(f"%%parallel -q\n{cell}").traceback
    arrows = [text for text in shown.splitlines() if text.startswith("-") and "> " in text]
    number = 2 + [text.strip() for text in cell.splitlines()].index(line)
    assert arrows[-1].split(maxsplit=2)[1:] == [str(number), line]


@pytest.mark.parametrize("line", ["--nonsense", "-n many", "--chunk 0", "-n 0"])
def test_bad_option_gives_usage(session: KernelSession, line: str) -> None:
    reply = session.execute(f"%%parallel {line}\nfor x in range(5):\n    y = slow(x)")
    assert reply.status == "error"
    assert reply.content["ename"] == "UsageError"
    assert "Traceback" not in reply.shown
    assert line.split()[0] in reply.shown
    assert "_positive" not in reply.shown


def test_help_shows_the_options_and_runs_nothing(session: KernelSession) -> None:
    reply = session.execute("%%parallel --help\nran = [slow(x) for x in range(5)]")
    assert reply.status == "ok"
    assert "--private" in reply.shown and "names of which each iteration" in reply.shown
    assert session.value("'ran' in globals()") is False


@pytest.mark.parametrize("option", ["--local", "--private"])
def test_misspelt_name_is_no_name(session: KernelSession, option: str) -> None:
    cell = f"%%parallel {option} bufer\nbuffer = []\nfor x in range(5):\n    y = slow(x)"
    reply = session.execute(cell)
    assert reply.content["ename"] == "UsageError"
    assert "did you mean `buffer`?" in reply.shown
    assert session.value("'buffer' in globals()") is False


def test_empty_cell_says_so(session: KernelSession) -> None:
    reply = session.execute("%%parallel\n")
    assert (reply.status, reply.content["ename"]) == ("error", "UsageError")


def test_explain_runs_nothing(session: KernelSession) -> None:
    cell = (
        "%%parallel --explain\nran = []\nfor x in range(5):\n    ran.append(slow(x))\n"
        "print('never')"
    )
    reply = session.execute(cell)
    assert reply.status == "ok"
    assert "ran.append" in reply.shown
    assert reply.stream() == ""
    assert session.execute("ran").status == "error"


def test_input_is_refused_as_everywhere(session: KernelSession) -> None:
    reply = session.execute("%%parallel\nfor x in range(2):\n    y = slow(x)\n    z = input('?')")
    assert reply.status == "error"
    assert reply.content["ename"] in ("StdinNotImplementedError", "NotParallel")


def test_redefined_function_is_seen(session: KernelSession) -> None:
    cell = "%%parallel -q\nout = [changing(x) for x in range(3)]"
    session.execute("def changing(x): return x")
    session.execute(cell)
    session.execute("def changing(x): return -x")
    session.execute(cell)
    assert session.value("out") == [0, -1, -2]


def test_mutated_data_is_seen(session: KernelSession) -> None:
    session.execute("import numpy as np\nbig, small = np.zeros(200_000), [1]")
    cell = "%%parallel -q\nout = [float(big.sum()) + sum(small) + x for x in range(3)]"
    session.execute(cell)
    session.execute("big[5] = 10\nsmall.append(100)")
    session.execute(cell)
    assert session.value("out") == [111.0, 112.0, 113.0]


def test_working_directory_is_followed(session: KernelSession) -> None:
    session.execute("import os, tempfile\nhome = os.getcwd()\nos.chdir(tempfile.mkdtemp())")
    cell = (
        "%%parallel -q\nfor x in range(3):\n    with open(f'{x}.txt', 'w') as f:\n"
        "        f.write('x')"
    )
    assert session.execute(cell).status == "ok"
    assert session.value("sorted(os.listdir())") == ["0.txt", "1.txt", "2.txt"]
    session.execute("os.chdir(home)")


def test_source_of_a_function_made_by_the_cell(session: KernelSession) -> None:
    cell = (
        "%%parallel -q\ndef made(x):\n    return slow(x)\nout = []\nfor x in range(3):\n"
        "    out.append(made(x))"
    )
    assert session.execute(cell).status == "ok"
    session.execute("import inspect")
    assert session.value("inspect.getsource(made)") == "def made(x):\n    return slow(x)\n"
