"""``--retries``, ``--keep-going`` and ``--timeout`` against the cell in which nothing fails."""

from __future__ import annotations

import traceback

import pytest
from IPython.core.error import UsageError

from mpmagic.errors import IterationTimeout, WorkerDied
from tests.compare import compare, with_magic
from tests.notebook import Notebook, Outcome

SETUP = """
import math, os, signal, time
from pathlib import Path

def flaky(x, times):
    count = len(list(Path().glob(f"try-{x}-*")))
    Path(f"try-{x}-{count}").touch()
    if count < times:
        print("failing", x)
        raise ValueError(f"{x} failed {count}")
    return x

def dying(x, times):
    count = len(list(Path().glob(f"try-{x}-*")))
    Path(f"try-{x}-{count}").touch()
    if count < times:
        os.system("echo dying")
        os.kill(os.getpid(), signal.SIGKILL)
    return x

def hanging(x, times):
    count = len(list(Path().glob(f"try-{x}-*")))
    Path(f"try-{x}-{count}").touch()
    while count < times:
        pass
    return x

def stubborn(x):
    while True:
        try:
            while True:
                pass
        except KeyboardInterrupt:
            pass

xs = [5, 3, 8, 1, 6, 9]
"""

LOOP = """
out, total = [], 0
for x in {items}:
    print("at", x)
    {work}
    big = [y] * 500
    if y > 5:
        rare = y
    out.append(y)
    total += y
"""


def loop(work: str, items: str = "xs") -> str:
    return LOOP.format(work=work, items=items)


def same(serial: Outcome, parallel: Outcome, cell: str) -> None:
    """Whether both left and showed the same, besides the files that count tries."""
    serial.files, parallel.files = {}, {}
    assert not (why := compare(serial, parallel, cell=cell)), why


@pytest.mark.parametrize(
    "work",
    [
        "y = flaky(x, 2 if x in (3, 9) else 0)",
        "y = flaky(x, 2)",
        "y = sum(flaky(n, 1) for n in [10 * x, 10 * x + 1])",
    ],
)
@pytest.mark.parametrize("engine", ["inline", "pool"])
def test_retried_until_it_succeeds(work: str, engine: str, session_notebook: Notebook) -> None:
    if engine == "inline":
        session_notebook.inline()
    else:
        session_notebook.on_pool()
    cell = loop(work)
    serial = session_notebook.run(SETUP + "def flaky(x, times):\n    return x\n", cell)
    parallel = session_notebook.run(SETUP, with_magic(cell, "--retries 2"))
    session_notebook.on_pool()
    names = [parallel.names.pop("flaky"), serial.names.pop("flaky")]
    assert len(names) == 2
    same(serial, parallel, cell)


@pytest.mark.parametrize("work", ["dying", "hanging"])
def test_workers_that_die_or_hang_are_retried(work: str, pool_notebook: Notebook) -> None:
    cell = loop(f"y = {work}(x, 1 if x in (5, 1) else 0)")
    serial = pool_notebook.run(SETUP, cell.replace("1 if x in (5, 1) else ", ""))
    parallel = pool_notebook.run(SETUP, with_magic(cell, "--retries 1 --timeout 2"))
    same(serial, parallel, cell)


def test_retries_of_a_comprehension(pool_notebook: Notebook) -> None:
    cell = "out = [flaky(x, x % 2) for x in xs]\nsum(out)"
    serial = pool_notebook.run(SETUP, cell.replace("x % 2", "0"))
    same(serial, pool_notebook.run(SETUP, with_magic(cell, "--retries 1")), cell)


def test_tries_are_counted_in_the_note(pool_notebook: Notebook) -> None:
    outcome = pool_notebook.run(SETUP, with_magic(loop("y = flaky(x, x)"), "--retries 3"))
    assert repr(outcome.error) == "ValueError('5 failed 3')"
    assert "iteration 0, x = 5" in notes(outcome.error)
    assert "the last of 4 tries" in notes(outcome.error)
    assert outcome.names["out"] == []
    assert outcome.text("stdout") == "at 5\nfailing 5\n"  # of the last try alone


def test_a_worker_that_always_dies(pool_notebook: Notebook) -> None:
    outcome = pool_notebook.run(
        SETUP, with_magic(loop("y = dying(x, x == 8 and 9)"), "--retries 2")
    )
    assert isinstance(outcome.error, WorkerDied)
    assert "iteration 2" in str(outcome.error) and "tried 3 times" in str(outcome.error)
    assert outcome.names["out"] == [5, 3]


@pytest.mark.parametrize("work", ["y = hanging(x, x == 8)", "y = stubborn(x) if x == 8 else x"])
def test_an_iteration_that_takes_too_long(work: str, pool_notebook: Notebook) -> None:
    outcome = pool_notebook.run(SETUP, with_magic(loop(work), "--timeout 1"))
    error = outcome.error
    assert isinstance(error, IterationTimeout) and isinstance(error, TimeoutError)
    for part in ("iteration 2, x = 8", "loop in line 4", "limit of 1 s", "before are committed"):
        assert part in str(error)
    assert (outcome.names["out"], outcome.names["total"]) == ([5, 3], 8)
    again = pool_notebook.run(SETUP, with_magic(loop("y = x"), "--timeout 1"))
    assert again.error is None


def test_what_comes_before_the_work_takes_no_time_of_it(pool_notebook: Notebook) -> None:
    """To read what it captures takes a worker longer than an iteration may."""
    slow = (
        "\nclass Slow:\n    def __setstate__(self, state):\n"
        "        import time\n        time.sleep(1.5)\nslow = Slow()\nslow.a = 1\n"
    )
    cell = "out = []\nfor x in xs:\n    y = (slow, x)[1]\n    out.append(y)"
    outcome = pool_notebook.run(SETUP + slow, with_magic(cell, "--timeout 1"))
    assert outcome.error is None and outcome.names["out"] == [5, 3, 8, 1, 6, 9]


KEEP = [
    ("y = flaky(x, 9 if x in (3, 9) else 0)", "[5, 8, 1, 6]", ["ValueError"] * 2),
    ("y = 10 // (x - 5)", "[3, 8, 1, 6, 9]", ["ZeroDivisionError"]),
    ("y = dying(x, 9 if x == 1 else 0)", "[5, 3, 8, 6, 9]", ["WorkerDied"]),
    ("y = hanging(x, 9 if x == 6 else 0)", "[5, 3, 8, 1, 9]", ["IterationTimeout"]),
    ("y = missing", "[]", ["NameError"] * 6),
]


@pytest.mark.parametrize(("work", "left", "errors"), KEEP)
@pytest.mark.parametrize("retries", ["", "--retries 1"])
def test_the_loop_goes_on_without_what_fails(
    work: str, left: str, errors: list[str], retries: str, pool_notebook: Notebook
) -> None:
    cell = loop(work)
    serial = pool_notebook.run(SETUP, loop(work.replace("9 if", "0 if"), left))
    options = f"--keep-going --timeout 2 {retries}"
    parallel = pool_notebook.run(SETUP, with_magic(cell, options))
    group = parallel.error
    assert isinstance(group, ExceptionGroup)
    assert [type(error).__name__ for error in group.exceptions] == errors
    assert f"{len(errors)} of 6 iterations of the loop in line 4 failed" in str(group)
    assert len(parallel.report.failures) == len(errors)
    assert (4, 1) not in parallel.lines and parallel.lines[-1] == (parallel.number, 4)
    parallel.error, parallel.events, serial.events = None, [], []
    same(serial, parallel, cell)


def test_what_fails_shows_what_it_has_shown_once(pool_notebook: Notebook) -> None:
    cell = loop("y = flaky(x, x == 3 and 9)")
    outcome = pool_notebook.run(SETUP, with_magic(cell, "--keep-going --retries 2"))
    shown = "".join(f"at {x}\n" + ("failing 3\n" if x == 3 else "") for x in [5, 3, 8, 1, 6, 9])
    assert outcome.text("stdout") == shown


def test_the_notes_name_iteration_and_item(pool_notebook: Notebook) -> None:
    cell = loop("y = flaky(x, 9 if x in (3, 9) else 0)")
    group = pool_notebook.run(SETUP, with_magic(cell, "--keep-going --retries 1")).error
    assert isinstance(group, ExceptionGroup)
    places = [notes(error) for error in group.exceptions]
    assert "iteration 1, x = 3, in worker process" in places[0]
    assert "iteration 5, x = 9, in worker process" in places[1]
    assert all("the last of 2 tries" in place for place in places)
    assert "y = flaky(x, 9 if x in (3, 9) else 0)" in "".join(traceback.format_exception(group))


HANDLED = """
caught, out = [], []
try:
    for x in xs:
        y = 1 / (x - 8)
        out.append(x)
    after = 1
except* ZeroDivisionError as group:
    caught = group.exceptions
"""


def test_the_cells_own_handler_gets_the_group(pool_notebook: Notebook) -> None:
    outcome = pool_notebook.run(SETUP, with_magic(HANDLED, "--keep-going"))
    assert outcome.error is None
    assert len(outcome.names["caught"]) == 1 and outcome.names["out"] == [5, 3, 1, 6, 9]
    assert "after" not in outcome.names


NESTED = """
out, n = [], 8
while n > 6:
    for x in xs:
        y = 1 / (x - n)
        out.append((n, x))
    n -= 1
"""


def test_it_ends_at_the_loop_that_has_failures(pool_notebook: Notebook) -> None:
    outcome = pool_notebook.run(SETUP, with_magic(NESTED, "--keep-going"))
    assert isinstance(outcome.error, ExceptionGroup)
    assert outcome.names["out"] == [(8, x) for x in [5, 3, 1, 6, 9]]


@pytest.mark.parametrize("options", ["--timeout 0", "--timeout x", "--retries -1", "--retries x"])
def test_numbers_that_mean_nothing(options: str, notebook: Notebook) -> None:
    assert isinstance(notebook.run(SETUP, with_magic("1", options)).error, UsageError)


def test_a_limit_is_for_processes(notebook: Notebook) -> None:
    outcome = notebook.run(SETUP, with_magic("[flaky(x, 0) for x in xs]", "--timeout 1"))
    assert "Use `--on processes`" in str(outcome.error)


def notes(error: BaseException | None) -> str:
    return "\n".join(getattr(error, "__notes__", []))
