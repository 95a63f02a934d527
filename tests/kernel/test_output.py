"""Output of the work, as a front end receives it: as the serial cell sends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.session import KernelSession, Reply, kernel

SETUP = """
import ctypes, logging, os, subprocess, sys, warnings
from IPython.display import (
    HTML, Image, Markdown, clear_output, display, publish_display_data, update_display
)
import pandas as pd

xs = [5, 3, 8, 1]

def slow(x):
    return x * x + 1
"""
SENT = ("stream", "display_data", "update_display_data", "clear_output", "execute_result", "error")


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        assert running.execute(SETUP).status == "ok"
        yield running


def messages(reply: Reply) -> list[tuple[Any, ...]]:
    """What a page is told to show, without what differs anyway.

    A kernel sends its two streams as it comes to it, and all of both before anything else: between
    two other messages the text of each stream is joined.
    """
    shown: list[tuple[Any, ...]] = []
    text: dict[str, str] = {}
    for message in [*reply.messages, {"msg_type": "end", "content": {}}]:
        kind, content = message["msg_type"], dict(message["content"])
        if kind == "stream":
            text[content["name"]] = text.get(content["name"], "") + content["text"]
        elif kind in SENT or kind == "end":
            shown += [("stream", *item) for item in sorted(text.items())]
            text.clear()
        if kind == "error":
            shown.append((kind, content["ename"], content["evalue"]))
        elif kind in SENT and kind != "stream":
            content.pop("execution_count", None)
            shown.append((kind, repr(content)))
    return [tuple(_without_addresses(part) for part in entry) for entry in shown]


def _without_addresses(text: str) -> str:
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    return re.sub(r"ipykernel_\d+/\d+\.py:\d+", "ipykernel", text)


def assert_same(
    session: KernelSession, cell: str, *, setup: str = "pass", value: str = "0"
) -> list[tuple[Any, ...]]:
    """Fail unless a cell sends with ``%%parallel`` what it sends without; give that."""
    found = []
    for magic in ("", "%%parallel -q\n"):
        assert session.execute(setup).status == "ok"
        found.append((messages(session.execute(magic + cell)), session.value(value)))
    serial, parallel = found
    assert parallel == serial
    return serial[0]


def test_text_of_c_code_and_children_is_in_its_place(session: KernelSession) -> None:
    """Only the worker can say where it stands: the serial cell's own comes by another way."""
    cell = """%%parallel -q
out = []
for x in xs:
    print("print", slow(x))
    os.write(1, b"write %d\\n" % x)
    out.append(x)
    ctypes.CDLL(None).puts(b"puts %d" % x)
    ctypes.CDLL(None).fflush(None)
    subprocess.run(["echo", f"echo {x}"])
    print(len(out))
"""
    lines = [
        f"print {x * x + 1}\nwrite {x}\nputs {x}\necho {x}\n{i}\n"
        for i, x in enumerate([5, 3, 8, 1], 1)
    ]
    assert messages(session.execute(cell)) == [("stream", "stdout", "".join(lines))]


def test_text_of_a_child_is_shown_while_it_runs(session: KernelSession, tmp_path: Path) -> None:
    wait = f"echo ready; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    cell = f"""%%parallel -q
for x in range(1):
    slow(x)
    subprocess.run(["sh", "-c", {wait!r}])
"""
    ident = session.start(cell)
    session.finish(ident, until="ready\n")
    (tmp_path / "go").touch()
    assert session.finish(ident).status == "ok"


def test_processes_that_the_work_forks_print_too(session: KernelSession) -> None:
    cell = """%%parallel -q
for x in xs:
    print("before", slow(x), flush=True)
    pid = os.fork()
    if pid == 0:
        print("child", x)
        os._exit(0)
    os.waitpid(pid, 0)
    print("after")
"""
    lines = [f"before {x * x + 1}\nchild {x}\nafter\n" for x in (5, 3, 8, 1)]
    reply = session.execute(cell)
    assert reply.stream() == "".join(lines)
    # From Python 3.12 on a fork warns where there are threads, as it does in the kernel itself.
    assert [line for line in reply.stream("stderr").splitlines() if "fork()" not in line] == []


def test_a_child_may_be_given_the_stream(session: KernelSession) -> None:
    """In a kernel that doesn't watch its descriptors that raises; in others it goes elsewhere."""
    cell = (
        "%%parallel -q\nfor x in xs:\n    subprocess.run(['echo', str(slow(x))], stdout=sys.stdout)"
    )
    assert messages(session.execute(cell)) == [("stream", "stdout", "26\n10\n65\n2\n")]


def test_a_hundred_thousand_lines_come_whole_and_in_few_messages(session: KernelSession) -> None:
    reply = session.execute("%%parallel -q\nfor x in range(100_000):\n    print(slow(x))")
    assert reply.stream() == "".join(f"{x * x + 1}\n" for x in range(100_000))
    assert len(reply.of("stream")) < 100


def test_flushing_each_line_makes_no_more_messages(session: KernelSession) -> None:
    cell = "%%parallel -q\nfor x in range(20_000):\n    print(slow(x), flush=True)"
    reply = session.execute(cell)
    assert reply.stream().count("\n") == 20_000
    assert len(reply.of("stream")) < 100


SHOWN = {
    "html": "print(x)\ndisplay(HTML(f'<b>{slow(x)}</b>'), Markdown('*m*'))\nprint('after')",
    "tables": "display(pd.DataFrame({'a': [slow(x) / 7]}), frame)",
    "styled": "display(pd.DataFrame({'a': [slow(x)]}).style.set_uuid('u').format('{:.1e}'))",
    "own repr": "display(Tagged(slow(x)))",
    "shows itself": "display(Itself(slow(x)))",
    "can't travel": "display((i for i in range(slow(x))), Locked(x))",
    "raw": "display({'text/plain': str(slow(x))}, raw=True, metadata={'m': 1})\n"
    "publish_display_data({'text/plain': 'p'})",
    "updated": "h = display(slow(x), display_id=f'a{x}')\nh.update(x)\n"
    "update_display(x + 1, display_id=f'a{x}')",
    "cleared": "print(slow(x))\nclear_output(wait=True)\nprint(x)",
    "repr raises": "print(slow(x))\ndisplay(Broken())\nprint(x)",
    "hidden": "hidden(slow(x))",
    "of a library that the workers don't know": "display(slow(x), Foreign(x))",
    "warnings": "print(slow(x))\nwarnings.warn(f'w{x}')\nlogging.warning('l%d', x)",
    "figure": "fig = Figure(figsize=(2, 2))\nfig.subplots().plot([x, slow(x)])\ndisplay(fig)",
    "closed figure": "fig, ax = plt.subplots(figsize=(2, 2))\nax.plot([x, slow(x)])\n"
    "display(fig)\nplt.close(fig)",
    "shown figure": "fig, ax = plt.subplots(figsize=(2, 2))\nax.plot([x, slow(x)])\nplt.show()",
    "open figure": "fig, ax = plt.subplots(figsize=(2, 2))\nax.plot([x, slow(x)])\nprint(x)",
    "common figure": "y = slow(x)\nplt.plot([x, y])",
}
CLASSES = """
%matplotlib inline
import threading, types
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

frame = pd.DataFrame({"a": [1.23456789] * 100})
pd.options.display.max_rows = 8
pd.options.display.precision = 3
plt.rcParams["figure.dpi"] = 50

class Tagged:
    def __init__(self, x):
        self.x = x
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": f"<i>{self.x}</i>", "a/b": {"x": self.x}}, {"a/b": {"c": 1}}

class Itself(Tagged):
    def _ipython_display_(self):
        print("itself", self.x)
        display(HTML(f"<u>{self.x}</u>"))

class Locked(Tagged):
    def __init__(self, x):
        super().__init__(x)
        self.lock = threading.Lock()

class Broken:
    def _repr_html_(self):
        raise ValueError("broken")

Foreign = types.new_class("Foreign", (Tagged,), exec_body=lambda d: d.update(__module__="yaml"))

def hidden(x):
    from IPython.display import display as show
    show({"a": [x] * 30, "b": 1.23456789})
"""


@pytest.fixture(scope="module")
def shown(session: KernelSession) -> KernelSession:
    reply = session.execute(CLASSES)
    assert reply.status == "ok", reply.traceback
    return session


@pytest.mark.parametrize("body", SHOWN.values(), ids=list(SHOWN))
def test_what_the_work_displays(shown: KernelSession, body: str) -> None:
    cell = "for x in xs:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    assert assert_same(shown, cell, value="plt.get_fignums()")


def test_figures_of_their_own_are_shown_by_the_workers(shown: KernelSession) -> None:
    cell = (
        "for x in xs:\n    plt.figure(figsize=(2, 2))\n    plt.plot([x, slow(x)])\n    plt.show()\n"
    )
    listing = shown.execute(f"%%parallel --explain\n{cell}").of("display_data")[0]
    lines = listing["data"]["text/plain"].splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["kernel", "work", "work", "work"]
    assert assert_same(shown, cell, value="plt.get_fignums()")


def test_shown_figures_are_the_kernels_while_others_are_open(shown: KernelSession) -> None:
    """The serial loop shows and closes those too."""
    setup = "plt.close('all')"
    cell = (
        "plt.figure(figsize=(1, 1))\nplt.plot([1, 2])\nfor x in xs:\n    y = slow(x)\n"
        "    plt.figure(figsize=(2, 2))\n    plt.plot([x, y])\n    plt.show()"
    )
    assert assert_same(shown, cell, setup=setup, value="plt.get_fignums()")


@pytest.mark.parametrize("name", ["fig = ", ""], ids=["with a name", "without one"])
def test_the_figure_that_an_exception_leaves_open(shown: KernelSession, name: str) -> None:
    """It's shown when the cell has ended, as the serial cell's is."""
    cell = (
        f"for x in xs:\n    {name}plt.figure(figsize=(2, 2))\n    plt.plot([x, slow(x)])\n"
        "    1 / (x - 8)\n    plt.show()"
    )
    serial, parallel = (shown.execute(magic + cell) for magic in ("", "%%parallel -q\n"))
    pictures = [[c["data"] for c in reply.of("display_data")] for reply in (serial, parallel)]
    assert len(pictures[0]) == 3 and pictures[1] == pictures[0]
    assert serial.status == parallel.status == "error"
    assert shown.value("plt.get_fignums()") == []


def test_the_figure_of_an_iteration_that_never_came(shown: KernelSession, tmp_path: Path) -> None:
    """It's interrupted while it draws, and the next cell's figures aren't shown with its own."""
    shown.execute("def exists(path): return os.path.exists(path)\ndef make(path): open(path, 'w')")
    cell = f"""%%parallel -q --chunk 1
opened = {str(tmp_path / "opened")!r}
for x in range(2):
    plt.figure(figsize=(2, 2))
    if x == 0:
        while not exists(opened):
            slow(x)
        1 / 0
    make(opened)
    while True:
        slow(x)
    plt.show()
"""
    assert "ZeroDivisionError" in shown.execute(cell).traceback
    body = "    plt.figure(figsize=(2, 2))\n    plt.plot([x, slow(x)])\n    plt.show()"
    assert assert_same(shown, f"for x in xs:\n{body}", value="plt.get_fignums()")


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_a_figure_that_a_commit_leaves_open(shown: KernelSession, early: bool) -> None:
    """The commit that raises comes before the iteration's exception, or the figure, or after it."""
    lines = ["fig = plt.figure(figsize=(2, 2))", "known[x] += slow(x)"]
    body = "".join(f"    {line}\n" for line in (lines if early else lines[::-1]))
    cell = f"known = {{5: 1}}\nfor x in xs:\n{body}    plt.plot([x, 1 / (x - 8)])\n    plt.close()"
    replies = [shown.execute(m + cell) for m in ("", "%%parallel -q --chunk 1\n")]
    serial, parallel = ([c["data"] for c in reply.of("display_data")] for reply in replies)
    assert parallel == serial and len(serial) == early
    assert all("KeyError" in reply.traceback for reply in replies)
    assert shown.value("plt.get_fignums()") == []


def test_displays_are_made_in_the_worker(shown: KernelSession) -> None:
    assert shown.execute("class P:\n    def _repr_html_(self): return str(os.getpid())").status
    reply = shown.execute("%%parallel -q\nfor x in xs:\n    slow(x)\n    display(P())")
    pids = {c["data"]["text/html"] for c in reply.of("display_data")}
    assert len(reply.of("display_data")) == 4
    assert str(shown.pid) not in pids


def test_a_display_is_shown_while_its_iteration_runs(shown: KernelSession, tmp_path: Path) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    cell = f"""%%parallel -q
for x in range(1):
    display(HTML("early"))
    print("ready", slow(x))
    subprocess.run(["sh", "-c", {wait!r}])
    display(HTML("late"))
"""
    ident = shown.start(cell)
    first = shown.finish(ident, until="ready 1\n")
    (tmp_path / "go").touch()
    rest = shown.finish(ident)
    texts = [[c["data"]["text/html"] for c in r.of("display_data")] for r in (first, rest)]
    assert texts == [["early"], ["late"]]


def test_printers_and_precision_of_the_notebook(shown: KernelSession) -> None:
    setup = """
%precision 2
_html = get_ipython().display_formatter.formatters["text/html"]
_html.for_type(Tagged, lambda tagged: "mine")
"""
    try:
        cell = "for x in xs:\n    y = slow(x) / 7\n    display(y, [y], Tagged(x))\n    hidden(y)"
        assert_same(shown, cell, setup=setup)
    finally:
        shown.execute("%precision\n_html.pop(Tagged)")


def test_displays_of_an_iterable_and_captured_ones(shown: KernelSession) -> None:
    setup = """def gen():
    for x in xs:
        display(HTML("g"))
        print("g", x)
        yield x
"""
    assert_same(shown, "for x in gen():\n    print('w', slow(x))", setup=setup)
    cell = """from IPython.utils.capture import capture_output
with capture_output() as captured:
    for x in xs:
        print(x)
        display(HTML(str(slow(x))))
"""
    seen = "(captured.stdout, [o.data['text/html'] for o in captured.outputs])"
    for magic in ("", "%%parallel -q\n"):
        assert messages(shown.execute(magic + cell)) == []
        assert shown.value(seen) == ("5\n3\n8\n1\n", ["26", "10", "65", "2"])


ESCAPES = {
    "system": "y = slow(x)\n!echo {y} $x {round(y / 7, 2)} $$HOME\n!echo {len(xs)} ${y} >&2",
    "unknown name": "y = slow(x)\n!echo {y} {nowhere} '{y:>8}'",
    "output": "y = slow(x)\nlines = !seq {x}\nout.append((lines, lines.n, type(lines).__name__))",
    "exit code": "y = slow(x)\n!exit {x}\nout.append(_exit_code)",
    "killed": "y = slow(x)\n!exit 137\nout.append(_exit_code)",
    "background": "y = slow(x)\n!sleep 1 &",
    "in order": "print('a', slow(x))\n!echo b\ndisplay(x)\n!printf c\nout.append(x)\n"
    "print(len(out))",
}


@pytest.mark.parametrize("body", ESCAPES.values(), ids=list(ESCAPES))
def test_shell_escapes(session: KernelSession, body: str) -> None:
    cell = "for x in xs:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    assert_same(
        session,
        cell + "(out, _exit_code)",
        setup="out = []\n!true",
        value="(list(map(repr, out)), _exit_code)",
    )


def test_shell_escapes_run_in_the_workers(session: KernelSession) -> None:
    cell = """%%parallel -q
parents = set()
for x in xs:
    lines = !echo $PPID {slow(x)}
    parents.add(lines[0].split()[0])
"""
    assert session.execute(cell).status == "ok"
    assert str(session.pid) not in session.value("sorted(parents)")


def test_a_line_magic_in_a_loop_is_refused(session: KernelSession) -> None:
    reply = session.execute(
        "%%parallel\nfor x in xs:\n    y = slow(x)\n    %precision 3\n    print(y)"
    )
    assert "line 4" in reply.traceback
    assert "a magic, and in a terminal `!command`, can't stand in a loop" in reply.traceback


def test_magics_outside_loops(session: KernelSession) -> None:
    cell = """!echo {len(xs)}
before = !echo before
for x in xs:
    print(slow(x))
t = %timeit -o -q -n 1 -r 1 slow(1)
before, t.loops
"""
    assert_same(session, cell)


def test_underscores_and_the_history(session: KernelSession) -> None:
    first = session.execute("%%parallel -q\nfor x in xs:\n    y = slow(x)\ny")
    assert first.result == "2"
    number = first.content["execution_count"]
    assert (
        session.execute("_, __ is not _, _i.startswith('%%parallel')").result == "(2, True, True)"
    )
    assert session.value(f"Out[{number}]") == 2


def test_magics_above(session: KernelSession) -> None:
    body = "%%parallel -q\nfor x in xs:\n    print(slow(x))\n    display(x)"
    assert "Wall time" in session.execute("%%time\n" + body).stream()
    assert session.execute("%%capture kept\n" + body).of("stream") == []
    assert session.value("(kept.stdout, len(kept.outputs))") == ("26\n10\n65\n2\n", 4)


def test_a_figure_that_the_source_does_not_show_is_not_lost(shown: KernelSession) -> None:
    shown.execute("import importlib")
    cell = """%%parallel -q
for x in xs:
    slow(x)
    importlib.import_module("matplotlib.pyplot").figure()
"""
    reply = shown.execute(cell)
    assert "left a figure of pyplot's open" in reply.traceback
    assert shown.value("plt.get_fignums()") == []
