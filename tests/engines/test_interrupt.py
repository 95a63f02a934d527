"""The stop button while work runs in threads, or on an executor that can't stop anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.session import KernelSession, kernel

WORK = {
    "python": "while True:\n            pass",
    "sleep": "time.sleep(30)",
    "caught": "while True:\n            try:\n                time.sleep(30)\n"
    "            except BaseException:\n                pass",
}
CELL = """\
%%parallel -q -n 2 --chunk 1 --on {on}
import time
kept = []
for x in range(40):
    y = -x
    if x >= 6:
        Path(folder, str(x)).touch()  # a file of its own: of one name it would be the kernel's
        {work}
    kept.append(x)
"""
NEXT = "%%parallel -q --on {on}\nout = [x + 1 for x in range(5)]\nprint('next', out)"


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    """One kernel for all: the interrupted cells must leave it usable."""
    with kernel() as running:
        running.execute(
            "from concurrent.futures import ThreadPoolExecutor\n"
            "from pathlib import Path\nimport tempfile\npools = []"
        )
        yield running


@pytest.mark.parametrize("on", ["threads", "pool"])
@pytest.mark.parametrize("kind", WORK)
def test_the_stop_button(session: KernelSession, kind: str, on: str) -> None:
    session.execute("pool = ThreadPoolExecutor(2); pools.append(pool)\nfolder = tempfile.mkdtemp()")
    watch = (
        "import threading\ndef stop(folder=folder, pause=threading.Event().wait):\n"
        "    import os, signal\n    while not os.listdir(folder):\n        pause(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "watch = threading.Thread(target=stop)\nwatch.start()"
    )
    session.execute(watch)
    reply = session.execute(CELL.format(work=WORK[kind], on=on))
    assert reply.content["ename"] == "KeyboardInterrupt"
    kept = session.value("kept")
    assert kept == list(range(len(kept)))
    session.execute("pool = ThreadPoolExecutor(2)")
    assert "next [1, 2, 3, 4, 5]" in session.execute(NEXT.format(on=on)).stream()
