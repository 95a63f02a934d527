"""Exceptions of parallel cells: what is shown of them is what the serial cell shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.kernel.failing import ENDING, HANDLED, MODULE, SETUP, as_serial
from tests.kernel.session import KernelSession, Reply, kernel

GONE_ON = {"chained", "in a handler", "in a handler of the body", "with a note", "in finally",
           "raised on", "from the loop's", "of the rest of a try"}  # fmt: skip
"""Exceptions that were raised in frames which went on to another line. IPython shows that one, the
mode Plain apart; frames of a worker it can only show as they were."""

NOT_PLAIN = {"in a library", "at the end of a with", "without text"}
"""In frames of these are objects that aren't plain data: only their texts come from the worker, so
that the mode Verbose can't look into them. And of an exception without text IPython itself fails,
whose frames show the whole cell."""

MODES = {"Plain": set(), "Context": GONE_ON, "Verbose": GONE_ON | NOT_PLAIN, "Minimal": set(),
         "Docs": {"in an operand of lines", *GONE_ON}}  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelSession]:
    directory = tmp_path_factory.mktemp("modules")
    (directory / "module_of_mine.py").write_text(MODULE)
    with kernel() as running:
        reply = running.execute(SETUP.format(directory=str(directory)))
        assert reply.status == "ok", reply.traceback
        yield running


@pytest.mark.parametrize("mode, name", [(m, n) for m in MODES for n in ENDING if n not in MODES[m]])
def test_shown_as_of_the_serial_cell(session: KernelSession, mode: str, name: str) -> None:
    session.execute(f"%xmode {mode}")
    serial, parallel = as_serial(session, ENDING[name])
    session.execute("%xmode Context")
    assert parallel == re.sub(r"\.0=<[^>]*>", ".0=...", serial)


@pytest.mark.parametrize("name", HANDLED)
def test_the_cells_own_code_sees_the_same(session: KernelSession, name: str) -> None:
    serial, parallel = as_serial(session, HANDLED[name])
    assert "line" in serial
    assert parallel == serial


def failed(session: KernelSession, cell: str) -> Reply:
    reply = session.execute(f"%%parallel -q\n{cell}")
    assert reply.status == "error"
    return reply


def test_the_note_says_which_iteration(session: KernelSession) -> None:
    cell = "done = []\nfor n, x in enumerate(range(0, 3000, 3)):\n    done.append(1 / (x - 1500))"
    reply = failed(session, cell)
    *_, pid = reply.traceback.split()
    ending = f"%%parallel: iteration 500, (n, x) = (500, 1500), in worker process {pid}"
    assert reply.traceback.endswith(f"ZeroDivisionError: division by zero\n{ending}")
    assert int(pid) in {process.pid for process in session.processes()}
    assert session.value("[len(done), n, x]") == [500, 500, 1500]


def test_the_note_of_a_commit_names_the_kernel(session: KernelSession) -> None:
    reply = failed(session, "d = {}\nfor x in 'a' * 100, 'b':\n    y = f(x)\n    d[y] += 1")
    item = f"'{'a' * 27}...{'a' * 28}'"
    assert reply.traceback.endswith(f"%%parallel: iteration 0, x = {item}, in the kernel")


def test_the_note_of_a_call_names_its_line(session: KernelSession) -> None:
    reply = failed(session, "a = f(1)\nb = f(2)\nc = f(3)")
    assert re.search(r"%%parallel: line 3, in worker process \d+$", reply.traceback)


def test_the_notes_of_a_chain(session: KernelSession) -> None:
    """The one that came from the loop has it, and handlers don't see it yet."""
    cell = (
        "try:\n    for x in range(4):\n        y = f(x)\nexcept Plain as error:\n"
        "    print(vars(error))\n    raise RuntimeError('outer') from error"
    )
    reply = failed(session, cell)
    assert reply.stream() == "{}\n"
    assert reply.traceback.count("%%parallel: iteration 2") == 1
    assert session.value("len(sys.last_value.__cause__.__notes__)") == 1


def test_what_an_item_says_of_itself_may_fail(session: KernelSession) -> None:
    cell = "for x in [NoRepr(), NoRepr()]:\n    y = f(2) + x"
    assert "iteration 0, x = <NoRepr instance at 0x" in failed(session, cell).traceback


def test_it_is_the_exception_afterwards(session: KernelSession) -> None:
    failed(session, "for x in range(4):\n    y = when(x, Keyed(1, key=[5]))")
    assert session.value("[type(sys.last_value) is Keyed, sys.last_value.key]") == [True, [5]]
    frames = "[f.name for f in traceback.extract_tb(sys.last_traceback)]"
    assert session.value(frames) == ["run_code", "<module>", "when"]
    assert session.value("sys.last_value.__traceback__ is sys.last_traceback")


def test_what_it_holds_and_cannot_travel_says_so_when_used(session: KernelSession) -> None:
    failed(session, ENDING["that holds a lock"])
    reply = session.execute("sys.last_value.lock.acquire()")
    assert reply.content["ename"] == "UnsendableValue"
    assert "`lock` was held by an exception, lock, which can't be sent" in reply.traceback


def test_a_class_that_cannot_travel(session: KernelSession) -> None:
    """Its name and text do, and the traceback."""
    session.execute(
        "def local(x):\n    class Local(Exception):\n        lock = threading.Lock()\n"
        "    if x == 2:\n        raise Local('here')\n    return x"
    )
    reply = failed(session, "for x in range(4):\n    y = local(x)")
    assert reply.content["ename"] == "RemoteError"
    assert re.search(r"-> 3 +y = local\(x\)\n", reply.traceback)
    assert re.search(r"-> 5 +raise Local\('here'\)\n", reply.traceback)
    assert "Local: here (its class can't be sent to the notebook: TypeError" in reply.traceback


def test_the_traceback_of_a_recursion_is_no_longer_than_serially(session: KernelSession) -> None:
    serial, parallel = as_serial(session, "for x in range(4):\n    y = deeper(x)")
    assert "RecursionError" in parallel
    assert len(parallel) < 1.1 * len(serial)


def test_tb_shows_it_again(session: KernelSession) -> None:
    reply = failed(session, ENDING["in the work"])
    assert session.execute("%tb").traceback == reply.traceback


def test_handlers_that_the_user_has_set(session: KernelSession) -> None:
    session.execute(
        "def show(shell, kind, value, tb, tb_offset=None):\n"
        "    print(kind.__name__, value.args, [f.name for f in traceback.extract_tb(tb)])\n"
        "get_ipython().set_custom_exc((Plain,), show)"
    )
    serial, parallel = as_serial(session, ENDING["in the work"])
    session.execute("get_ipython().set_custom_exc((), None)")
    assert parallel == serial
    assert parallel.startswith("Plain ('two', 2) ['run_code', '<module>', 'f']\n")


def test_an_error_that_the_caller_swallows(session: KernelSession) -> None:
    """The next one is shown as ever."""
    reply = session.execute(
        "for k in range(3):\n    try:\n"
        "        get_ipython().run_cell_magic('parallel', '-q', '[f(x) for x in range(3)]')\n"
        "    except Plain:\n        pass\n1 // 0"
    )
    assert reply.content["ename"] == "ZeroDivisionError"
    assert re.search(r"-> 6 1 // 0", reply.traceback)


def test_a_refusal_for_what_cannot_be_sent_has_the_listing(session: KernelSession) -> None:
    session.execute("lock = threading.Lock()\ndef locked(x):\n    return lock, x")
    reply = failed(session, "out = []\nfor x in range(4):\n    out.append(locked(x))")
    assert reply.content["ename"] == "NotParallel"
    (listing,) = reply.of("display_data")
    assert "kernel    3 for x in range(4):  " in listing["data"]["text/plain"]
    assert "`lock` (lock) can't be sent to a worker" in listing["data"]["text/plain"]
    assert "<table" in listing["data"]["text/html"]
    assert "make it inside the loop" in reply.traceback
    assert "`--or-serial` runs it as it is" in reply.traceback
