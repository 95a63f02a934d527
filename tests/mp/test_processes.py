"""Processes and what they talk through, with definitions that no child could import.

Definitions of the notebook are imitated by `notebook`: code that runs in ``__main__``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mpmagic import mp
from tests.mp.conftest import Run

METHODS = ["forkserver", "spawn", "fork"]

DEFINITIONS = """
import ctypes, os, sys, time
from mpmagic.mp import Process

class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("name", ctypes.c_char * 8)]
    def doubled(self):
        return 2 * self.x

class Nested(ctypes.Structure):
    _anonymous_ = ("point",)
    _fields_ = [("point", Point), ("pair", ctypes.c_int * 2), ("next", ctypes.POINTER(Point))]

class Record:
    made = 0
    def __init__(self, value):
        self.value = value

class Downloader(Process):
    def __init__(self, queue, name, **options):
        super().__init__(name=name, **options)
        self.queue = queue
    def run(self):
        self.queue.put((self.name, self.daemon, helper(2)))

def helper(x):
    return x * factor

def set_factor(value):
    global factor
    factor = value

factor = 10

def fail(message):
    raise ValueError(message)
"""


@pytest.fixture(params=METHODS)
def ctx(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each start method, also as that of `Process` itself."""
    mp.set_start_method(request.param, force=True)
    yield mp.get_context(request.param)
    mp.set_start_method(None, force=True)


@pytest.fixture
def run(run: Run) -> Run:
    """Run a cell after the definitions above."""
    run(DEFINITIONS)
    return run


def ended(process: Any) -> Any:
    """Start a process and wait for its end."""
    process.start()
    process.join()
    return process


def test_target_gets_all_arguments(ctx: Any, run: Run) -> None:
    queue, before = ctx.Queue(), set(mp.active_children())  # other libraries' from other tests
    names = run("def work(queue, *args, **kwargs):\n    queue.put((args, kwargs, helper(3)))")
    process = ctx.Process(
        target=names.work, name="worker", args=(queue, 1), kwargs={"key": "value"}
    )
    assert process.name == "worker" and process.pid is None and not process.is_alive()
    process.start()
    assert queue.get() == ((1,), {"key": "value"}, 30)
    process.join()
    assert process.exitcode == 0 and not process.is_alive()
    assert set(mp.active_children()) <= before


def test_subclass_of_process(ctx: Any, run: Run) -> None:
    queue = ctx.Queue()
    process = run("").Downloader(queue, "down", daemon=True)
    process.start()
    assert queue.get() == ("down", True, 20)
    process.join()
    assert process.exitcode == 0


def test_functions_share_the_globals_of_main(ctx: Any, run: Run) -> None:
    queue = ctx.Queue()
    names = run("def work(queue):\n    set_factor(7)\n    queue.put(helper(1))")
    ended(ctx.Process(target=names.work, args=(queue,)))
    assert queue.get() == 7
    assert run("").factor == 10  # the child's own


def test_closures_and_lambdas(ctx: Any, run: Run) -> None:
    queue = ctx.SimpleQueue()
    names = run("def times(n):\n    return lambda queue: queue.put(lambda x: x * n)")
    ended(ctx.Process(target=names.times(5), args=(queue,)))
    assert queue.get()(2) == 10


def test_instances_come_back_as_the_kernels_own_class(ctx: Any, run: Run) -> None:
    queue = ctx.Queue()
    names = run("def work(queue, record):\n    record.value += 1\n    queue.put(record)")
    process = ctx.Process(target=names.work, args=(queue, names.Record(1)))
    process.start()
    names.Record.made = 5  # meanwhile
    record = queue.get()
    process.join()
    assert type(record) is names.Record and record.value == 2
    assert names.Record.made == 5


def test_shared_structure(ctx: Any, run: Run) -> None:
    names = run("def work(shared, plain):\n    with shared: shared.x += plain.doubled()")
    shared = ctx.Value(names.Point, 1.5, b"ab")
    ended(ctx.Process(target=names.work, args=(shared, names.Point(2.0, b""))))
    assert shared.x == 5.5 and shared.name == b"ab"


def test_sharedctypes_with_its_locks(ctx: Any, run: Run) -> None:
    from mpmagic.mp.sharedctypes import Array, RawValue, synchronized

    names = run("def work(value, points):\n    with value: value.x += 1\n    points[1].x = 4")
    value, points = synchronized(RawValue(names.Point, 0.5)), Array(names.Point, [(1,), (2,)])
    ended(ctx.Process(target=names.work, args=(value, points)))
    assert value.x == 1.5 and [p.x for p in points] == [1.0, 4.0]


def test_a_manager_of_ones_own(ctx: Any, run: Run) -> None:
    names = run(
        "from mpmagic.mp.managers import BaseManager\n"
        "class Shop(BaseManager):\n    pass\n"
        "class Till:\n    def add(self, f):\n        return f(2)\n"
        "Shop.register('Till', Till)"
    )
    with names.Shop(ctx=ctx) as shop:
        assert shop.Till().add(lambda x: x * 21) == 42


def test_structures_with_parts(ctx: Any, run: Run) -> None:
    names = run(
        "def work(shared):\n    shared.x, shared.pair[1] = 2.5, 7\n    shared.point.name = b'z'"
    )
    shared = ctx.RawValue(names.Nested)
    ended(ctx.Process(target=names.work, args=(shared,)))
    assert (shared.x, list(shared.pair), shared.point.name) == (2.5, [0, 7], b"z")


def test_no_update_is_lost_under_the_lock(ctx: Any, run: Run) -> None:
    names = run(
        "def work(lock, value, array):\n"
        "    for i in range(100):\n"
        "        with lock:\n"
        "            value.value += 1\n"
        "            array[i % 2] += 1"
    )
    lock, value, array = ctx.Lock(), ctx.Value("i", 0, lock=False), ctx.Array("i", 2, lock=False)
    processes = [ctx.Process(target=names.work, args=(lock, value, array)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert value.value == 300 and list(array) == [150, 150]


def test_pipe_carries_objects_both_ways(ctx: Any, run: Run) -> None:
    names = run("def talk(end):\n    end.send(Record(end.recv().value + 1))\n    end.close()")
    near, far = ctx.Pipe()
    process = ctx.Process(target=names.talk, args=(far,))
    process.start()
    far.close()
    near.send(names.Record(1))
    answer = near.recv()
    assert type(answer) is names.Record and answer.value == 2
    with pytest.raises(EOFError):
        near.recv()
    process.join()


def test_connection_and_lock_travel_to_a_process_only(ctx: Any) -> None:
    with pytest.raises(RuntimeError, match="inheritance"):
        ctx.SimpleQueue().put(ctx.Lock())


def test_producer_and_consumer(ctx: Any, run: Run) -> None:
    names = run(
        "def consume(tasks, results):\n"
        "    while (f := tasks.get()) is not None:\n"
        "        results.put(f())\n"
        "        tasks.task_done()\n"
        "    tasks.task_done()"
    )
    tasks, results = ctx.JoinableQueue(), ctx.Queue()
    consumer = ctx.Process(target=names.consume, args=(tasks, results))
    consumer.start()
    for i in range(3):
        tasks.put(lambda i=i: i * i)
    tasks.put(None)
    tasks.join()
    assert [results.get() for _ in range(3)] == [0, 1, 4]
    consumer.join()


def test_what_cant_be_pickled_is_refused_at_once(ctx: Any, run: Run) -> None:
    queue = ctx.Queue()
    with pytest.raises(TypeError, match="generator"):
        queue.put(i for i in range(3))
    queue.put(1)
    assert queue.get() == 1
    if ctx.get_start_method() != "fork":
        process = ctx.Process(target=print, args=((i for i in range(3)),), name="printer")
        with pytest.raises(TypeError, match="generator") as caught:
            process.start()
        assert any("while printer was pickled" in note for note in caught.value.__notes__)


def test_manager_holds_the_notebooks_objects(ctx: Any, run: Run) -> None:
    names = run("def work(shared):\n    shared['record'].value\n    shared['f'] = lambda x: -x")
    with ctx.Manager() as manager:
        shared = manager.dict(record=names.Record(4))
        ended(ctx.Process(target=names.work, args=(shared,)))
        assert shared["f"](3) == -3
        assert type(shared["record"]) is names.Record


def test_exit_codes(ctx: Any, run: Run) -> None:
    assert ended(ctx.Process(target=sys.exit, args=(3,))).exitcode == 3
    assert ended(ctx.Process(target=run("").fail, args=("x",))).exitcode == 1
    assert ended(ctx.Process(target=os._exit, args=(5,))).exitcode == 5


@pytest.mark.parametrize(
    ("stop", "signum"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)]
)
def test_ended_by_a_signal(ctx: Any, stop: str, signum: int) -> None:
    process = ctx.Process(target=time.sleep, args=(60,))
    process.start()
    assert process.is_alive() and process.exitcode is None
    assert process in mp.active_children()
    with pytest.raises(ValueError, match="still running"):
        process.close()
    getattr(process, stop)()
    process.join()
    assert process.exitcode == -signum
    process.close()
    with pytest.raises(ValueError, match="closed"):
        process.is_alive()


def test_sentinel_is_ready_when_the_process_has_ended(ctx: Any) -> None:
    from multiprocessing.connection import wait

    near, far = ctx.Pipe()
    process = ctx.Process(target=far.recv)
    process.start()
    assert wait([process.sentinel], timeout=0) == []
    near.send("go")
    assert wait([process.sentinel], timeout=30) == [process.sentinel]
    process.join()


def test_output_is_there_when_join_returns(
    ctx: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(
        "def work():\n    print('from Python')\n    print('error', file=sys.stderr)\n"
        "    os.system('echo from a shell')"
    )
    ended(ctx.Process(target=names.work))
    out, err = capsys.readouterr()
    assert out == "from Python\nfrom a shell\n" and err == "error\n"


def test_output_of_a_process_that_outlives_its_parent_doesnt_hold_join_up(
    ctx: Any, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    names = run("def work():\n    print('started')\n    os.system('sleep 60 & echo $!')")
    ended(ctx.Process(target=names.work))
    started, pid = capfd.readouterr().out.split()
    assert started == "started"
    os.kill(int(pid), signal.SIGKILL)


def test_traceback_shows_the_cells_lines(
    ctx: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(ctx.Process(target=run("").fail, args=("no such item",), name="failing"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Process failing:" and lines[-1] == "ValueError: no such item"
    assert "in fail" in lines[2] and lines[3].strip() == "raise ValueError(message)"
    assert not any("multiprocessing" in line or "mpmagic" in line for line in lines)


def test_a_child_starts_children(ctx: Any, run: Run) -> None:
    queue = ctx.Queue()
    names = run(
        "def inner(queue):\n    queue.put(helper(4))\n"
        "def outer(queue):\n"
        "    process = Process(target=inner, args=(queue,))\n"
        "    process.start()\n    process.join()"
    )
    ended(ctx.Process(target=names.outer, args=(queue,)))
    assert queue.get() == 40


def test_a_daemon_has_no_children(ctx: Any, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    names = run("def outer():\n    Process(target=print).start()")
    assert ended(ctx.Process(target=names.outer, daemon=True)).exitcode == 1
    assert "daemonic processes are not allowed to have children" in capsys.readouterr().err


def test_environment_and_folder_are_those_of_now(
    ctx: Any, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    queue = ctx.Queue()
    ended(ctx.Process(target=print))  # the fork server runs from here on
    monkeypatch.setenv("MPMAGIC_TEST", "new")
    monkeypatch.chdir(tmp_path)
    names = run("def work(queue):\n    queue.put((os.environ.get('MPMAGIC_TEST'), os.getcwd()))")
    ended(ctx.Process(target=names.work, args=(queue,)))
    assert queue.get() == ("new", str(tmp_path))


def test_fork_server_that_died_is_started_again(run: Run) -> None:
    from mpmagic.mp.forkserver import server

    ctx = mp.get_context("forkserver")
    ended(ctx.Process(target=print))
    assert server._process is not None
    server._process.kill()
    server._process.wait()
    assert ended(ctx.Process(target=print)).exitcode == 0


def test_start_methods() -> None:
    assert mp.get_all_start_methods() == METHODS
    assert mp.get_start_method() == "forkserver"
    with pytest.raises(RuntimeError, match="force=True"):
        mp.set_start_method("spawn")
    with pytest.raises(ValueError, match="'thread'"):
        mp.get_context("thread")
