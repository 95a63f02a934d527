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
    """What a page is told to show, text of one stream joined, without what differs anyway."""
    shown: list[tuple[Any, ...]] = []
    for message in reply.messages:
        kind, content = message["msg_type"], dict(message["content"])
        if kind not in SENT:
            continue
        if kind == "stream" and shown and shown[-1][:2] == (kind, content["name"]):
            content["text"] = shown.pop()[2] + content["text"]
        if kind == "stream":
            shown.append((kind, content["name"], content["text"]))
        elif kind == "error":
            shown.append((kind, content["ename"], content["evalue"]))
        else:
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
    assert messages(session.execute(cell)) == [("stream", "stdout", "".join(lines))]


def test_a_child_may_be_given_the_stream(session: KernelSession) -> None:
    assert_same(
        session, "for x in xs:\n    slow(x)\n    subprocess.run(['true'], stdout=sys.stdout)"
    )


def test_a_hundred_thousand_lines_come_whole_and_in_few_messages(session: KernelSession) -> None:
    reply = session.execute("%%parallel -q\nfor x in range(100_000):\n    print(slow(x))")
    assert reply.stream() == "".join(f"{x * x + 1}\n" for x in range(100_000))
    assert len(reply.of("stream")) < 100


def test_flushing_each_line_makes_no_more_messages(session: KernelSession) -> None:
    cell = "%%parallel -q\nfor x in range(20_000):\n    print(slow(x), flush=True)"
    reply = session.execute(cell)
    assert reply.stream().count("\n") == 20_000
    assert len(reply.of("stream")) < 100
