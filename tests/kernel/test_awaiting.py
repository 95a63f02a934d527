"""Cells whose own code awaits, outside of their loops."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import pytest

from tests.kernel.failing import MODULE, SETUP, as_serial
from tests.kernel.session import KernelSession, kernel

LATER = "import asyncio\nasync def later(x):\n    await asyncio.sleep(0.01)\n    return x"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelSession]:
    directory = tmp_path_factory.mktemp("modules")
    (directory / "module_of_mine.py").write_text(MODULE)
    with kernel() as running:
        for cell in (SETUP.format(directory=str(directory)), LATER):
            reply = running.execute(cell)
            assert reply.status == "ok", reply.traceback
        yield running


AROUND = "n = await later(4)\nout = [f(-x) for x in range(n)]\nm = await later(len(out))\n(m, out)"


def test_before_and_after_a_loop(session: KernelSession) -> None:
    reply = session.execute(f"%%parallel -n 2\n{AROUND}")
    assert reply.result == "(4, [0, -1, -2, -3])"
    assert "4 iterations" in reply.shown


def test_in_the_notebooks_own_event_loop(session: KernelSession) -> None:
    """A task that was begun before goes on while the cell awaits, and its lock is the same."""
    session.execute("gate = asyncio.Event()\ntask = asyncio.ensure_future(gate.wait())")
    cell = "out = [f(-x) for x in range(4)]\ngate.set()\nawait task\n"
    cell += "async with asyncio.Lock():\n    t = 1\nt"
    reply = session.execute(f"%%parallel -q\n{cell}")
    assert reply.result == "1", reply.traceback


@pytest.mark.parametrize(
    "await_in", ["n = await later(f(-x))", "n = [await later(y) for y in [x]]"]
)
def test_in_a_loop_it_is_refused_with_the_listing(session: KernelSession, await_in: str) -> None:
    cell = f"for x in range(4):\n    {await_in}"
    reply = session.execute(f"%%parallel\n{cell}")
    assert reply.content["ename"] == "NotParallel"
    (listing,) = reply.of("display_data")
    assert "`await`, `async` and `yield` can't be split" in listing["data"]["text/plain"]
    assert session.execute(f"%%parallel --or-serial -q\n{cell}").status == "ok"


FAILING = {
    "in a list": "n = await later(4)\nout = [f(x) for x in range(n)]",
    "in the work": "for x in range(4):\n    y = f(x)\nawait later(1)",
    "in what is awaited": "out = [f(0) for x in range(4)]\nn = await later(f(2))",
    "handled": "n = await later(4)\ntry:\n    for x in range(n):\n        y = f(x)\n"
    "except Plain:\n    print(traceback.format_exc())",
}


@pytest.mark.parametrize("name", FAILING)
def test_errors(session: KernelSession, name: str) -> None:
    serial, parallel = as_serial(session, FAILING[name])
    assert "Plain" in serial
    parallel, serial = (text.replace(".0=...", ".0") for text in (parallel, serial))
    assert parallel == serial, "\n".join(difflib.ndiff(serial.split("\n"), parallel.split("\n")))


@pytest.mark.parametrize("option, shown", [("--help", "examples"), ("--explain", "work      4")])
def test_options_that_run_nothing(session: KernelSession, option: str, shown: str) -> None:
    cell = "left = await later(4)\nif True:\n    left = [f(0) for x in range(left)]"
    reply = session.execute(f"%%parallel {option}\n{cell}")
    assert reply.status == "ok", reply.traceback
    assert shown.lower() in reply.shown.lower()
    assert session.value("'left' in globals()") is False


def test_called_by_other_code(session: KernelSession) -> None:
    """Nobody would await what the magic gives: it says so instead of running nothing."""
    call = "get_ipython().run_cell_magic('parallel', '', 'awaited = await later(2)')"
    reply = session.execute(f"if True:\n    {call}")
    assert reply.content["ename"] == "NotParallel"
    assert "line 2: a cell that awaits has to begin with `%%parallel`" in reply.traceback
