"""Executors that a notebook has made: equal results, or an error that says what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import loky
import pytest

from mpmagic.engine import guest, guests
from tests.compare import assert_equal, judge
from tests.engines.names import named
from tests.notebook import Notebook

SETUP = """\
import os, time
import numpy as np
class Point:
    scale = 2
    def __init__(self, x): self.x = x * self.scale
    def __eq__(self, other): return type(self) is type(other) and self.x == other.x
def slow(x):
    time.sleep(0.001)
    print("at", x)
    return Point(x)
table = np.arange(50_000.0)
"""
CELL = """\
points, total = [], 0
for x in range(30):
    p = slow(x)
    row = table[x : x + 2] * 2
    points.append((p, row))
    total += p.x
there = os.getcwd()
"""


DISPLAYED = "%precision 2\nfrom IPython.display import display, HTML"
DISPLAYS = """\
for x in range(6):
    y = x / 7
    print("at", x)
    display(y, HTML(f"<b>{y}</b>"))
"""


def _processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


ENGINES = {"threads": lambda: ThreadPoolExecutor(3), "processes": _processes,
           "loky": lambda: loky.ProcessPoolExecutor(2)}  # fmt: skip


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with ENGINES[request.param]() as made:
        yield made


@pytest.mark.parametrize("chunk", ["", "--chunk 1"])
def test_equal(engine: Executor, chunk: str, pool_notebook: Notebook) -> None:
    with named(pool_notebook, engine=engine):
        judgement = assert_equal(pool_notebook, CELL, setup=SETUP, options=f"--on engine {chunk}")
    assert judgement.parallel.report.split == 1


def test_calls_side_by_side(engine: Executor, pool_notebook: Notebook) -> None:
    with named(pool_notebook, engine=engine):
        cell = "a = slow(1)\nb = slow(2)\nc = (a, b)"
        judgement = assert_equal(pool_notebook, cell, setup=SETUP, options="--on engine")
    assert judgement.parallel.report.split == 1


def test_exception_of_the_work(engine: Executor, pool_notebook: Notebook) -> None:
    with named(pool_notebook, engine=engine):
        cell = "out = []\nfor x in range(20):\n    y = 1 / (7 - x)\n    out.append(y)"
        assert_equal(pool_notebook, cell, options="--on engine")


CHILDREN = """\
out = []
for x in range(6):
    print("before", x)
    code = subprocess.run(["sh", "-c", f"echo child {x}; echo error {x} >&2"]).returncode
    out.append(code)
    print("after", x)
"""


def test_children_write_in_their_place(pool_notebook: Notebook) -> None:
    with _processes() as engine, named(pool_notebook, engine=engine):
        cell = f"%%parallel -q --on engine --chunk 2\n{CHILDREN}"
        outcome = pool_notebook.run("import subprocess", cell)
    lines = [f"{word} {x}\n" for x in range(6) for word in ("before", "child", "after")]
    assert outcome.text("stdout") == "".join(lines)
    assert outcome.text("stderr") == "".join(f"error {x}\n" for x in range(6))


def test_displays(engine: Executor, pool_notebook: Notebook) -> None:
    with named(pool_notebook, engine=engine):
        assert_equal(pool_notebook, DISPLAYS, setup=DISPLAYED, options="--on engine --chunk 1")


def test_seed_is_the_pools(pool_notebook: Notebook) -> None:
    cell = "import random\nout = [random.random() + x for x in range(9)]"
    on_pool = judge(pool_notebook, cell, options="--seed 3").parallel.names["out"]
    with _processes() as engine, named(pool_notebook, engine=engine):
        assert judge(pool_notebook, cell, options="--seed 3 --on engine").parallel.names[
            "out"
        ] == on_pool  # fmt: skip


def test_worker_keeps_its_own_state(pool_notebook: Notebook, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as engine, named(pool_notebook, engine=engine):
        before = engine.submit(os.getcwd).result(), engine.submit(os.getenv, "LEFT").result()
        setup = f"import os\nos.chdir({str(tmp_path)!r})\nos.environ['LEFT'] = 'x'"
        cell = "out = []\nfor x in range(6):\n    y = (os.getcwd(), os.getenv('LEFT'), x)\n"
        cell += "    out.append(y)"
        assert_equal(pool_notebook, cell, setup=setup, options="--on engine")
        assert (engine.submit(os.getcwd).result(), engine.submit(os.getenv, "LEFT").result()) == (
            before
        )


class _Counting(ThreadPoolExecutor):
    """Runs nothing in threads of this process, as far as mpmagic can tell, and counts bytes."""

    def __init__(self) -> None:
        super().__init__(1)
        self.parcels: list[Any] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.parcels += [a for a in args if isinstance(a, guest.Known | guest.Parcel)]
        return super().submit(fn, *args, **kwargs)


def test_large_values_travel_once_per_worker() -> None:
    executor, large = _Counting(), guest.Parcel(b"k", guests.Parcel(b"", None))
    large.payload = type("Payload", (), {"nbytes": 1 << 20})()
    engine = guests.GuestEngine(executor, 1, name="e", home=guest.Home("another", 1))
    for _ in range(3):
        engine.submit(_kind, large).result(30)
    assert [type(p) for p in executor.parcels] == [guest.Parcel, guest.Known, guest.Known]
    executor.shutdown()


def _kind(parcel: Any) -> str:
    return type(parcel).__name__


def test_worker_that_has_not_met_a_value_is_sent_it(pool_notebook: Notebook) -> None:
    with _processes() as engine, named(pool_notebook, engine=engine):
        assert_equal(pool_notebook, CELL, setup=SETUP, options="--on engine --chunk 1")
        other = SETUP.replace("50_000", "60_000")  # what the workers have is another's
        assert_equal(pool_notebook, CELL, setup=other, options="--on engine --chunk 1")


def test_shut_down(pool_notebook: Notebook) -> None:
    engine = ThreadPoolExecutor(1)
    engine.shutdown()
    _refused(pool_notebook, "engine", "takes no work", engine=engine)


def test_no_such_name(pool_notebook: Notebook) -> None:
    _refused(pool_notebook, "thread", "did you mean `threads`?")
    _refused(pool_notebook, "engine", "has no `engine`")


def test_no_engine(pool_notebook: Notebook) -> None:
    _refused(pool_notebook, "engine", "of type int, which is no engine", engine=3)


def test_worker_without_mpmagic(pool_notebook: Notebook) -> None:
    _refused(pool_notebook, "engine", "haven't got mpmagic. Install it",
             engine=_Elsewhere("has = False"))  # fmt: skip


def test_worker_with_another_mpmagic(pool_notebook: Notebook) -> None:
    _refused(pool_notebook, "engine", "another version of mpmagic",
             engine=_Elsewhere("digest = 'other'"))  # fmt: skip


def test_worker_with_another_python(pool_notebook: Notebook) -> None:
    _refused(pool_notebook, "engine", "another Python than the notebook",
             engine=_Elsewhere("magic = b'x'"))  # fmt: skip


class _Elsewhere(Executor):
    """Answers questions as a process would of which something isn't as here."""

    def __init__(self, difference: str) -> None:
        self._difference = difference

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        python = [*fn(*args)]
        if self._difference.startswith("has") and len(python) == 5:
            python[4] = False
        elif self._difference.startswith("magic") and len(python) == 5:
            python[0] = b"another"
        elif len(python) == 2 and self._difference.startswith("digest"):
            python[1] = "another"
        future.set_result(tuple(python))
        return future


def test_worker_killed(pool_notebook: Notebook) -> None:
    cell = "import os, signal\nout = []\nfor x in range(9):\n    y = kill(x)\n    out.append(y)"
    setup = (
        "def kill(x):\n    import os, signal\n    if x == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n    return x"
    )
    with _processes() as engine, named(pool_notebook, engine=engine):
        outcome = pool_notebook.run(setup, f"%%parallel --on engine --chunk 1\n{cell}")
        assert "takes no more work (BrokenProcessPool" in str(outcome.error)
        assert outcome.names["out"] == list(range(len(outcome.names["out"])))
    _refused(pool_notebook, "engine", "takes no work", engine=engine)
    assert_equal(pool_notebook, "out = [x + 1 for x in range(5)]")


def test_default_of_the_notebook(pool_notebook: Notebook) -> None:
    with ThreadPoolExecutor(2) as engine, named(pool_notebook, engine=engine):
        pool_notebook.run("", "%mppool --on engine")
        try:
            judgement = assert_equal(pool_notebook, CELL, setup=SETUP)
            assert judgement.parallel.report.split == 1
            name = pool_notebook.run("", "%%parallel\nimport threading\n"
                                         "out = [threading.current_thread().name + str(x) "
                                         "for x in range(3)]").names["out"]  # fmt: skip
        finally:
            pool_notebook.run("", "%mppool --on processes")
    assert all("ThreadPoolExecutor" in n for n in name)


def test_count_on_an_executor(pool_notebook: Notebook, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a 1\nb 2\n" * 1000)
    with _processes() as engine, named(pool_notebook, engine=engine):
        outcome = pool_notebook.run("", f"n = %mpcount {path} --match [a]. --on engine")
    assert int(outcome.names["n"]) == 1000


def _refused(notebook: Notebook, on: str, says: str, **names: Any) -> None:
    with named(notebook, **names):
        outcome = notebook.run("", f"%%parallel --on {on}\nout = [x + 1 for x in range(3)]")
    assert type(outcome.error).__name__ == "EngineError"
    assert says in str(outcome.error)
    assert "out" not in outcome.names
