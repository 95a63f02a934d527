"""What threads share with the notebook: it is kept apart, or stops the cell with an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpmagic.errors import LostWrite, MpmagicError
from tests.compare import Verdict, assert_equal, judge
from tests.notebook import Notebook

SETUP = """\
import contextlib, io, logging, os, random, subprocess, sys, threading, time, warnings
import numpy as np
out = []
meeting = {}
def meet():
    time.sleep(0.002)
"""

KEPT_APART = {
    "prints": "for x in range(9):\n    print('a', x); meet(); print('b', x)\n    out.append(x)",
    "redirected": "for x in range(9):\n    with contextlib.redirect_stdout(io.StringIO()) as f:\n"
    "        print('in', x); meet()\n    print('out', x)\n    out.append(f.getvalue())",
    "redirected by commits": "for x in range(9):\n    print('w', x); meet()\n    y = x * 2\n"
    "    with contextlib.redirect_stdout(io.StringIO()):\n        out.append(print(y))\n"
    "    print('c', out[-1])",
    "redirected around": "with contextlib.redirect_stdout(io.StringIO()) as f:\n"
    "    for x in range(9):\n        print(x); meet()\n        out.append(x)\n"
    "text = f.getvalue()",
    "stderr": "for x in range(9):\n    print(x, file=sys.stderr); meet()\n    out.append(x)",
    "threads of the work": "for x in range(9):\n"
    "    t = threading.Thread(target=print, args=('inner', x))\n    t.start(); t.join(); meet()\n"
    "    out.append(x)\ndel t",
    "records": "for x in range(9):\n    logging.getLogger('a').warning('no %s', x); meet()\n"
    "    out.append(x)",
    "filters": "for x in range(9):\n    with warnings.catch_warnings():\n"
    "        warnings.simplefilter('ignore')\n        warnings.warn('no'); meet()\n"
    "    out.append(x)",
    "warnings of commits": "def w():\n    warnings.warn('w')\nw()\nfor x in range(9):\n"
    "    y = x + 1; meet()\n    warnings.warn(f'{len(out)}', stacklevel=1); out.append(y)\nw()",
    "print options": "np.set_printoptions(precision=2)\nfor x in range(9):\n"
    "    s = str(np.array([x / 7])); meet()\n    out.append(s)\nnp.set_printoptions(precision=8)",
    "buffers": "a = np.zeros(10_000)\nfor x in range(9):\n    b = a + x; meet(); out.append(b)\n"
    "same = [float(b[0]) for b in out]",
    "children": "for x in range(5):\n    t = subprocess.run([sys.executable, '-c', f'print({x})'],"
    " stdout=subprocess.PIPE, text=True).stdout\n    out.append(t)",
    "exceptions": "for x in range(9):\n    print(x); meet(); y = 1 / (5 - x)\n    out.append(y)",
    "draws": "random.seed(1)\nfor x in range(9):\n    y = random.random(); meet(); out.append(y)\n"
    "last = random.random()",
    "draws of arrays": "np.random.seed(1)\nfor x in range(9):\n"
    "    y = np.random.rand(20_000); meet(); out.append(y.sum())\nlast = np.random.rand()",
    "draws of two kinds": "random.seed(1); np.random.seed(1)\nfor x in range(9):\n"
    "    y = random.gauss(0, 1); z = np.random.normal(); meet(); out.append(y * z)\n"
    "last = random.random(), np.random.rand()",
}


@pytest.mark.parametrize("name", KEPT_APART)
def test_kept_apart(name: str, pool_notebook: Notebook) -> None:
    assert_equal(pool_notebook, KEPT_APART[name], setup=SETUP, options="--on threads --chunk 1")


STOPPED = {
    "directory": "changes the working directory",
    "environment": "changes the environment",
    "swallowed": "changes the working directory",
    "system": "descriptor 1",
    "child": "descriptor 1",
    "fork": "forks the process",
    "warning": "issues a warning (`UserWarning`)",
    "left": "leaves other filters of warnings behind",
    "recording": "records warnings",
    "draw": "drew from the global stream of `random`",
    "draw_of_numpy": "drew from the global stream of `numpy.random`",
    "handler": "adds a handler to a logger",
    "figure": "matplotlib.pyplot",
    "displayed": "displays something",
    "cleared": "displays something",
}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[str]:
    """A library that is installed: nobody looks into its functions before they run."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    shutil.copy(Path(__file__).parent / "hidden.py", folder / "mpmagic_test_hidden.py")
    yield str(folder)
    sys.modules.pop("mpmagic_test_hidden", None)


@pytest.mark.parametrize("name", STOPPED)
def test_stopped(name: str, library: str, pool_notebook: Notebook) -> None:
    directory, filters = os.getcwd(), list(warnings.filters)  # noqa: PTH109
    setup = f"import sys; sys.path.append({library!r})\nfrom mpmagic_test_hidden import {name} as f"
    cell = "%%parallel --on threads --chunk 1\nout = []\nfor x in range(4):\n    y = f(x)"
    outcome = pool_notebook.run(setup, f"{cell}\n    out.append(y)")
    assert isinstance(outcome.error, MpmagicError), outcome
    assert STOPPED[name] in str(outcome.error)
    assert not outcome.names.get("out")
    assert Path.cwd() != Path("/")
    os.chdir(directory)
    assert "MPMAGIC_TEST" not in os.environ
    assert list(warnings.filters) == filters


BESIDE_DRAWS = {
    "of work": "from mpmagic_test_hidden import draw\nfor x in range(9):\n"
    "    y = random.random(); meet(); z = draw(x)\n    out.append(y)",
    "of commits": "from mpmagic_test_hidden import Drawing\nkept = Drawing()\nfor x in range(9):\n"
    "    y = x * x; meet()\n    kept.add(y)",
}


@pytest.mark.parametrize("name", BESIDE_DRAWS)
def test_draws_that_nobody_saw(name: str, library: str, pool_notebook: Notebook) -> None:
    """What a library draws in threads, or in commits beside them, is nobody else's."""
    setup = f"{SETUP}sys.path.append({library!r})\nrandom.seed(1)"
    serial = pool_notebook.run(setup, BESIDE_DRAWS[name])
    cell = f"%%parallel --on threads -n 3 --chunk 1\n{BESIDE_DRAWS[name]}"
    outcome = pool_notebook.run(setup, cell)
    assert serial.error is None
    assert isinstance(outcome.error, LostWrite), outcome
    assert "draw" in str(outcome.error)


OF_THE_KERNEL = {
    "displays": "from IPython.display import display\nfor x in range(9):\n    y = x * x; meet()\n"
    "    print(x); display(y)\n    out.append(y)",
    "lines drawn": "import matplotlib.pyplot as plt\nplt.close('all')\nfor x in range(4):\n"
    "    y = np.arange(x); meet()\n    plt.plot(y)\n    out.append(len(plt.gca().lines))\n"
    "plt.close('all')",
    "own figures": "import matplotlib.pyplot as plt\nfor x in range(4):\n"
    "    y = np.arange(x); meet()\n    plt.figure(); plt.plot(y)\n"
    "    out.append(plt.gcf().number)\n    plt.close()",
    "shell commands": "for x in range(4):\n    y = x * x; meet()\n    t = !echo {y}\n"
    "    out.append(t[0])",
}


@pytest.mark.parametrize("name", OF_THE_KERNEL)
def test_of_the_kernel(name: str, pool_notebook: Notebook) -> None:
    """What belongs to the process the kernel does, and the rest of the loop is split."""
    cell, options = OF_THE_KERNEL[name], "--on threads --chunk 1"
    judgement = assert_equal(pool_notebook, cell, setup=SETUP, options=options)
    assert judgement.parallel.report.split == 1


ONLY_APART = {
    "figures": "for x in range(4):\n    save(x)",
    "displays": "for x in range(4):\n    show(x)",
    "shell commands": "for x in range(4):\n    t = !echo a\n    out.append(x)",
}
HELPERS = """\
import matplotlib.pyplot as plt
from IPython.display import display
def save(x):
    plt.figure()
    plt.plot([x])
    plt.close()
def show(x):
    display(str(x))
out = []
"""


@pytest.mark.parametrize("name", ONLY_APART)
def test_refused_for_processes(name: str, pool_notebook: Notebook) -> None:
    judgement = judge(pool_notebook, ONLY_APART[name], setup=HELPERS, options="--on threads")
    assert judgement.verdict is Verdict.REFUSED, judgement.why
    assert "`--on processes`" in judgement.why
    judgement = assert_equal(pool_notebook, ONLY_APART[name], setup=HELPERS)
    assert judgement.parallel.report.split == 1


def test_exception_names_the_thread(pool_notebook: Notebook) -> None:
    cell = "%%parallel --on threads\nout = [1 / (2 - x) for x in range(4)]"
    outcome = pool_notebook.run("", cell)
    assert re.search(r"iteration 2, x = 2, in thread \d+", "".join(outcome.error.__notes__))


def test_notebook_is_not_touched(pool_notebook: Notebook) -> None:
    """What the work changes is the thread's own copy; that it did is an error as on processes."""
    setup = "seen = []\ndef g(into, x):\n    into.append(x)\n    return x\n"
    setup += "def f(x, g=g, seen=seen):\n    return g(seen, x)"
    cell = "%%parallel --on threads --chunk 1\nout = []\nfor x in range(1, 5):\n    y = f(x)"
    outcome = pool_notebook.run(setup, f"{cell}\n    out.append(y)")
    assert isinstance(outcome.error, MpmagicError)
    assert not outcome.names["seen"]


def test_what_has_no_copies_is_lent(pool_notebook: Notebook) -> None:
    setup = """\
import threading
class Client:
    def __init__(self):
        self.lock, self.thread = threading.Lock(), set()
    def get(self, x):
        with self.lock:
            self.thread.add(threading.get_ident())
        return x + 1
client = Client()
"""
    cell = "out = []\nfor x in range(20):\n    y = client.get(x)\n    out.append(y)"
    lines = f"%%parallel --on threads --local client --chunk 1\n{cell}"
    for _ in range(2):
        outcome = pool_notebook.run(setup, lines)
        assert outcome.names["out"] == list(range(1, 21))
        assert outcome.report.split == 1
        assert threading.get_ident() not in outcome.names["client"].thread
        assert outcome.names["client"].thread
    outcome = pool_notebook.run(setup, lines.replace("--local client ", ""))
    assert type(outcome.error).__name__ == "NotParallel"


def test_seed_is_refused(pool_notebook: Notebook) -> None:
    judgement = judge(pool_notebook, "[x ** 2 for x in range(3)]", options="--on threads --seed 1")
    assert judgement.verdict is Verdict.REFUSED
    assert "--on processes" in judgement.why


def test_process_is_as_it_was(pool_notebook: Notebook) -> None:
    before = sys.stdout, sys.stderr, threading.Thread.start, warnings._showwarnmsg  # type: ignore[attr-defined]
    cell = "import warnings\nwarnings.warn('mine')\nout = [str(x) for x in range(20)]"
    assert_equal(pool_notebook, cell, options="--on threads")
    after = sys.stdout, sys.stderr, threading.Thread.start, warnings._showwarnmsg  # type: ignore[attr-defined]
    assert after == before
    assert type(warnings.filters) is list
    assert type(warnings) is type(sys)


TRACED = """\
import os, sys, threading, time
from mpmagic.engine.threads import Threads

def is_reading(thread):
    frame = sys._current_frames()[thread.ident]
    while frame.f_back is not None and frame.f_code is not read.__code__:
        frame = frame.f_back
    return frame.f_lineno == read.__code__.co_firstlineno + 1

def read(pipe):
    os.read(pipe, 1)

out, into = os.pipe()
threads = Threads(1)
assert threads.submit(len, "abc").result() == 3
sys.settrace(lambda *_: None)
(lambda: None)()
sys.settrace(None)

future = threads.submit(read, out)
thread = threads._seats[0].thread
while not is_reading(thread):
    time.sleep(0)
threads.leave([future])
sys.settrace(lambda *_: None)
(lambda: None)()
sys.settrace(None)
os.write(into, b"x")
thread.join()
print("traced")
"""


def test_functions_run_traced_while_a_thread_does_not_take_its_interrupt() -> None:
    """On Python 3.11 one exception that waits for a thread stops whoever is traced or profiled."""
    ran = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.stderr) == ("traced\n", "")
