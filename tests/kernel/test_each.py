"""``%%parallel --each`` in a real kernel: names in the workers, new workers, errors, refusals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.kernel.session import KernelSession, Reply, gone, kernel

SETUP = """
import os, pathlib
base = 10
def helper(x):
    return x + base
def outer(x):
    return predict(x) * 2
"""

LOAD = """%%parallel --each {options}
model = {{"weight": base}}
def predict(x):
    return model["weight"] * helper(x)
print("loaded")
os.getpid()"""

USE = "%%parallel -q --chunk 1 {options}\nout = [(predict(x), os.getpid()) for x in range(12)]"


@pytest.fixture(scope="module")
def running() -> Iterator[KernelSession]:
    with kernel() as session:
        assert session.execute(SETUP).status == "ok"
        yield session


@pytest.fixture
def session(running: KernelSession) -> KernelSession:
    running.execute("%mppool forget\n%mppool stop")
    done = running.execute(LOAD.format(options="-n 2"))
    assert done.status == "ok", done.traceback
    return running


def ok(session: KernelSession, code: str) -> Reply:
    reply = session.execute(code)
    assert reply.status == "ok", reply.traceback
    return reply


def used(session: KernelSession, options: str = "-n 2") -> set[int]:
    """Use the workers' names; who did the work."""
    ok(session, USE.format(options=options))
    assert session.value("[y for y, _ in out]") == [10 * (x + 10) for x in range(12)]
    return set(session.value("[pid for _, pid in out]"))


def workers(session: KernelSession) -> list[int]:
    """The pool's processes."""
    ok(session, "pool = get_ipython().magics_manager.registry['ParallelMagics']._workforce._pool")
    return list(session.value("[w.pid for w in pool.workers()]"))


def test_once_in_every_worker_and_not_in_the_kernel(session: KernelSession) -> None:
    reply = ok(session, "%%parallel --each\nprint(model['weight'])\nos.getpid()")
    assert reply.stream() == "10\n10\n"
    pids = session.value("_")
    assert sorted(pids) == sorted(workers(session))
    assert session.pid not in pids
    assert not session.value("{'model', 'predict'} & globals().keys()")


def test_no_value_where_the_cell_has_none(session: KernelSession) -> None:
    for code in ("x = 1", "x = 1\nx;", "print(1)"):
        assert not ok(session, f"%%parallel --each\n{code}").result


def test_loops_find_the_names(session: KernelSession) -> None:
    assert used(session) <= set(workers(session))
    reply = ok(
        session, "%%parallel -q\ntotal = 0\nfor x in range(5):\n    total += predict(x)\ntotal"
    )
    assert reply.result == str(sum(10 * (x + 10) for x in range(5)))
    assert ok(session, "%parallel -q [outer(x) for x in range(3)]").result == "[200, 220, 240]"
    code = (
        "%%parallel -q\nfor x in range(4):\n    model.setdefault(x, x)\n    y = len(model) > 1\ny"
    )
    assert ok(session, code).result == "True"


def test_what_the_notebook_has_too_is_the_notebooks(session: KernelSession) -> None:
    ok(session, "def predict(x):\n    return -x")
    try:
        assert ok(session, "%parallel -q [predict(x) for x in range(3)]").result == "[0, -1, -2]"
        # In the cells of --each what they have left comes first.
        assert ok(session, "%%parallel --each\npredict(0)").result == "[100, 100]"
    finally:
        ok(session, "del predict")
    used(session)


def test_what_cells_have_left_comes_first_in_cells(session: KernelSession) -> None:
    ok(session, "depth = 1\ndef deep(x):\n    return x * depth")
    try:
        ok(session, "%%parallel --each\ndepth = 5\ndef deeper(x):\n    return deep(x) + depth")
        assert ok(session, "%%parallel --each\ndeep(1), deeper(1)").result == "[(5, 10), (5, 10)]"
        code = "%parallel -q [(deep(x), deeper(x)) for x in map(abs, range(2))]"
        assert ok(session, code).result == "[(0, 5), (1, 10)]"
    finally:
        ok(session, "del depth, deep")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print(model)\n[predict(x) for x in range(3)]", "line 2: `model`"),
        ("[predict(x) for x in model]", "line 2: `model`"),
        (
            "n = 0\nfor x in range(3):\n    y = predict(x)\n    if n > model['w']:\n        n += y",
            "`model`",
        ),
        ("a = predict(1)\nb = predict(2)", "line 2: `predict`"),
        ("b = outer(2)\nc = [outer(x) for x in range(3)]", "line 2: `outer` reads `predict`"),
    ],
)
def test_the_kernels_part_may_not_read_them(session: KernelSession, code: str, says: str) -> None:
    reply = session.execute(f"%%parallel\n{code}")
    assert "NotParallel" in reply.traceback
    assert says in reply.traceback
    assert "in the workers alone" in reply.traceback
    assert "Nothing of the cell ran" in reply.traceback


def test_a_loop_that_turns_out_to_stay_says_what_it_lacks(session: KernelSession) -> None:
    code = (
        "%%parallel\na = [1, 2, 3]\nsame = a\n"
        "for i in range(3):\n    a[i] = predict(a[i]) + len(same)"
    )
    reply = session.execute(code)
    assert "EachFailed" in reply.traceback and "`predict`" in reply.traceback
    assert session.value("a") == [1, 2, 3]


def test_new_workers_run_it_first(session: KernelSession) -> None:
    assert ok(session, "%%parallel --each -n 4\npredict(1)").result == "[110, 110, 110, 110]"
    old = [psutil.Process(pid) for pid in workers(session)]
    assert len(old) == 4
    for process in old:
        process.send_signal(signal.SIGKILL)
    assert gone(old)
    reply = ok(session, USE.format(options=""))
    assert not reply.stream()  # what it prints was shown when it ran first
    assert ok(session, "%%parallel --each\npredict(2)").result == "[120, 120, 120, 120]"


@pytest.mark.parametrize("how", ["restart", "stop", "--start spawn", "--start forkserver"])
def test_the_cells_outlast_the_workers(session: KernelSession, how: str) -> None:
    before = used(session)
    ok(session, f"%mppool {how}")
    assert not used(session) & before


def test_forget(session: KernelSession) -> None:
    ok(session, "%mppool forget")
    reply = session.execute(USE.format(options=""))
    assert "NameError" in reply.traceback and "predict" in reply.traceback


def test_a_worker_killed_in_a_loop_is_replaced_by_one_that_has_the_names(
    session: KernelSession,
) -> None:
    code = (
        "%%parallel -q --chunk 1\nfor x in range(8):\n    y = predict(x)\n"
        "    if x == 3:\n        os.kill(os.getpid(), 9)"
    )
    assert "WorkerDied" in session.execute(code).traceback
    used(session)


def test_an_exception_leaves_nothing(session: KernelSession) -> None:
    before = set(workers(session))
    code = (
        "%%parallel --each\nprint('begins')\nmodel = None\nmore = 1\n1 / (os.getpid() - max(pids))"
    )
    ok(session, f"pids = {sorted(before)}")
    reply = session.execute(code)
    assert "ZeroDivisionError" in reply.traceback
    assert "line 5" in reply.traceback and "----> 5" in reply.traceback
    assert "of 2, in worker process" in reply.traceback
    assert "mpmagic" not in reply.traceback.replace("%%parallel", "")
    assert not used(session) & before  # they may have run it
    assert "NameError" in session.execute("%parallel [more + x for x in range(3)]").traceback


def test_an_edited_cell_replaces_the_old_one(session: KernelSession) -> None:
    ok(session, "%%parallel --each\ndouble = model['weight'] * 2")
    edited = LOAD.format(options="").replace('{"weight": base}', '{"weight": 3}')
    before = set(workers(session))
    ok(session, edited)
    assert not before & set(workers(session))
    assert ok(session, "%parallel -q [predict(x) for x in range(2)]").result == "[30, 33]"
    # The cell behind it has run again.
    assert ok(session, "%parallel -q [double + x for x in map(abs, range(2))]").result == "[6, 7]"


def test_a_cell_by_its_number_in_the_front_end(session: KernelSession) -> None:
    def run(code: str) -> Reply:
        client = session._client
        content = {"code": code, "silent": False, "store_history": True}
        content |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        message = client.session.msg("execute_request", content, metadata={"cellId": "a"})
        client.shell_channel.send(message)
        return session.finish(message["header"]["msg_id"])

    assert run("%%parallel --each\nfirst, second = 1, 2").status == "ok"
    assert run("%%parallel --each\nfirst = 3").status == "ok"
    assert ok(session, "%parallel -q [abs(first) + abs(x) for x in range(2)]").result == "[3, 4]"
    reply = session.execute("%parallel -q [abs(second) + abs(x) for x in range(2)]")
    assert "NameError" in reply.traceback


def test_a_new_worker_in_which_it_fails(session: KernelSession, tmp_path: Path) -> None:
    flag = f"{tmp_path}/flag"
    ok(session, f"pathlib.Path({flag!r}).touch()")
    ok(session, f"%%parallel --each\nflag = pathlib.Path({flag!r}).stat()")
    ok(session, f"pathlib.Path({flag!r}).unlink()\n%mppool restart")
    reply = session.execute(USE.format(options=""))
    assert "EachFailed" in reply.traceback
    assert "FileNotFoundError" in reply.traceback and "cell In[" in reply.traceback


def test_interrupted(session: KernelSession, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    code = (
        f"%%parallel --each\nimport time\nmore = 1\nopen({str(tmp_path / 'begun')!r}, 'w')\n"
        "time.sleep(600)"
    )
    ident = session.start(code)
    with open(tmp_path / "begun"):  # which waits for a worker to open its other end
        session.interrupt()
    assert "KeyboardInterrupt" in session.finish(ident).traceback
    used(session)
    assert "NameError" in session.execute("%parallel [more + x for x in range(3)]").traceback


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("--each --on threads", "1", "elsewhere (threads)"),
        ("--each", "!ls", "line 2: magics and shell commands"),
        ("--each", "x = 1\n%cd /", "line 3: magics and shell commands"),
        ("--each", "y = await x", "line 2: a cell of `--each` can't await"),
        ("--on threads", "[predict(x) for x in range(3)]", "the workers of `--on processes` alone"),
        ("--each --ahead", "1", "--ahead doesn't go with --each"),
        ("--each --chunk 3", "1", "--chunk doesn't go with --each"),
    ],
)
def test_refused(session: KernelSession, line: str, code: str, says: str) -> None:
    reply = session.execute(f"%%parallel {line}\n{code}")
    assert says in reply.shown
    assert "Traceback" not in reply.shown


def test_output_of_all_kinds_arrives(session: KernelSession) -> None:
    reply = ok(
        session,
        "%%parallel --each\nimport sys, warnings\nfrom IPython.display import display, HTML\n"
        "print('err', file=sys.stderr)\ndisplay(HTML('<b>1</b>'))\nwarnings.warn('careful')\n"
        "_ = os.system('echo from a child')",
    )
    assert reply.stream() == "from a child\n" * 2
    assert reply.stream("stderr").count("err\n") == 2
    assert reply.stream("stderr").count("careful") >= 1
    assert len(reply.of("display_data")) == 2


def test_a_value_that_cant_travel(session: KernelSession) -> None:
    reply = ok(session, "%%parallel --each\nimport threading\nlock = threading.Lock()\nlock")
    assert reply.result.count("stayed in a worker") == 2
    code = "%%parallel -q\nfor x in range(4):\n    with lock:\n        y = x * x\ny"
    assert ok(session, code).result == "9"


def test_figures_are_shown_or_an_error_says_so(session: KernelSession) -> None:
    shown = "%%parallel --each\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    assert len(ok(session, shown).of("display_data")) == 2
    reply = session.execute(shown.replace("plt.show()", "left = 1"))
    assert "EachFailed" in reply.traceback and "figure of pyplot's open" in reply.traceback
    assert "NameError" in session.execute("%parallel [left + x for x in range(3)]").traceback


EARLY = """
import os, signal
from mpmagic.engine.processes import PoolEngine
before = PoolEngine.ask_each
def ask_each(engine, *given):
    PoolEngine.ask_each = before
    futures = before(engine, *given)
    os.kill(os.getpid(), signal.SIGINT)
    return futures
PoolEngine.ask_each = ask_each
"""


def test_interrupted_as_soon_as_it_is_sent(session: KernelSession) -> None:
    ok(session, EARLY)
    reply = session.execute("%%parallel --each\nimport time\ntime.sleep(600)")
    assert "KeyboardInterrupt" in reply.traceback
    ok(session, "pool = get_ipython().magics_manager.registry['ParallelMagics']._workforce._pool")
    assert session.value("[w.pid for w in pool.workers() if w.label == 'run_each']") == []
    ok(session, "%mppool stop")
