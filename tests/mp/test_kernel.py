"""The toolbox in a real kernel: the cell that output belongs to, and the kernel's death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.session import KernelSession, gone, kernel

METHODS = ["forkserver", "spawn", "fork"]


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    """One kernel for the cells that leave it as it was."""
    with kernel(load=False) as session:
        yield session


@pytest.mark.parametrize("method", METHODS)
def test_output_goes_to_the_cell_that_started_the_process(
    session: KernelSession, method: str
) -> None:
    started = session.start(
        f"from mpmagic.mp import get_context\nctx = get_context({method!r})\n"
        "def talk(end):\n    print('first', flush=True)\n    end.recv()\n    print('second')\n"
        "near, far = ctx.Pipe()\nprocess = ctx.Process(target=talk, args=(far,))\nprocess.start()"
    )
    first = session.finish(started, until="first")
    later = session.start("print('here')\nnear.send(None)\nprocess.join()")
    texts: dict[str, str] = {started: first.stream(), later: ""}
    while "second" not in texts[started] or "here" not in texts[later]:
        message = session._client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "stream":
            texts[message["parent_header"]["msg_id"]] += message["content"]["text"]
    assert texts == {started: "first\nsecond\n", later: "here\n"}


@pytest.mark.parametrize("method", METHODS)
def test_traceback_names_the_cell(session: KernelSession, method: str) -> None:
    reply = session.execute(
        f"from mpmagic.mp import get_context\nctx = get_context({method!r})\n"
        "def fail():\n    return 1 / 0\n"
        "process = ctx.Process(target=fail)\nprocess.start()\nprocess.join()\nprocess.exitcode"
    )
    assert reply.result == "1"
    trace = reply.stream("stderr")
    number = reply.of("execute_input")[0]["execution_count"]
    assert f"  Cell In[{number}], line 4, in fail\n    return 1 / 0" in trace
    assert "/ipykernel_" not in trace and trace.endswith("ZeroDivisionError: division by zero\n")


def test_captured_cell_has_the_output(session: KernelSession) -> None:
    reply = session.execute(
        "%%capture text\nfrom mpmagic.mp import Process\n"
        "process = Process(target=lambda: print('from a child'))\nprocess.start()\nprocess.join()"
    )
    assert reply.status == "ok", reply.traceback
    assert session.value("text.stdout") == "from a child\n"


@pytest.mark.parametrize("method", METHODS)
def test_the_stop_button_reaches_the_process(method: str) -> None:
    with kernel(load=False) as session:
        ident = session.start(
            f"import time\nfrom mpmagic.mp import get_context\nctx = get_context({method!r})\n"
            # Python looks for signals before a long sleep, and not once more when it begins.
            "def sleep(end):\n    end.recv()\n    print('sleeping', flush=True)\n"
            "    while True:\n        time.sleep(0.01)\n"
            # A fork may sleep before the kernel has come out of `start`.
            "near, far = ctx.Pipe()\nprocess = ctx.Process(target=sleep, args=(far,))\n"
            "process.start()\nnear.send('started')\nprocess.join()"
        )
        session.finish(ident, until="sleeping")
        session.interrupt()
        assert session.finish(ident).content["ename"] == "KeyboardInterrupt"
        assert session.execute("process.join()\nprocess.exitcode").result == "1"


def test_nothing_is_left_of_a_killed_kernel(tmp_path: Path) -> None:
    with kernel(load=False, env={"TMPDIR": str(tmp_path)}) as session:
        reply = session.execute(
            "import re\nfrom mpmagic.mp import *\nfrom mpmagic.mp import get_context\n"
            "def burn(end):\n    end.send(None)\n"
            "    re.match(r'(a+)+b', 'a' * 99)\n"  # keeps the GIL for ever
            "near, far = Pipe()\nmanager = Manager()\nnumbers = manager.list([1])\n"
            "processes = [get_context(m).Process(target=burn, args=(far,))\n"
            "             for m in ('fork', 'spawn', 'forkserver', 'fork')]\n"
            "for process in processes:\n    process.start()\n"
            "for process in processes:\n    near.recv()\n"
            "lock, value, queue = Lock(), Value('i'), Queue()"
        )
        assert reply.status == "ok", reply.traceback
        name = session.value("lock._semlock.name")
        semaphore = Path(f"/dev/shm/sem.{name.removeprefix('/')}")
        assert semaphore.exists() and list(tmp_path.iterdir())
        left = session.processes()
        assert len(left) >= 6
        os.kill(session.kernel_pid, signal.SIGKILL)
        assert gone(left)
    assert not semaphore.exists() and not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_only_the_processes_themselves_are_in_the_group_of_the_kernel(method: str) -> None:
    """A kernel that is shut down ends all of its group, and waits for those who don't obey."""
    with kernel(load=False) as session:
        reply = session.execute(
            "import os, psutil, time\nfrom mpmagic.mp import get_context\n"
            f"process = get_context({method!r}).Process(target=time.sleep, args=(600,))\n"
            "process.start()\nchildren = psutil.Process().children(recursive=True)\n"
            "[p.pid == process.pid for p in children if os.getpgid(p.pid) == os.getpgrp()]"
        )
        assert reply.result == "[True]", reply.traceback
