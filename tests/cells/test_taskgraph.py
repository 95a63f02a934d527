"""The planner of cells without a loop: what runs beside what, and what is a barrier."""

from __future__ import annotations

import ast
import functools
import importlib
import io
import linecache
import math
import random
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mpmagic.cell.dependence import Allowances
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.task import Kind, Task, task_of
from mpmagic.cell.taskgraph import TaskPlan, plan_tasks


def notebook(source: str = "", **names: Any) -> dict[str, Any]:
    """A namespace in which `source` has run, its text kept as the notebook keeps it."""
    filename = f"<planned {len(linecache.cache)}>"
    source = textwrap.dedent(source)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    space: dict[str, Any] = {"__name__": "__main__", **names}
    exec(compile(source, filename, "exec"), space)
    return space


SPACE = notebook(
    """
    def f(*given):
        return list(given)
    def push(l):
        l.append(1)
    def count():
        global n
        n += 1
        return n
    def level():
        return n
    def save(p):
        with open(p, "w") as out:
            out.write("x")
    def save_by_mode(p, mode):
        return open(p, mode)
    def read(p):
        with open(p) as given:
            return given.read()
    def behind(p):
        return save(p)
    def numbers():
        yield 1
    @functools.cache
    def cached():
        return []
    def behind_cache():
        return cached()
    def now():
        return time.perf_counter()
    class Client:
        def store(self, p):
            p.write_text("x")
        def get(self):
            return 1
    """,
    functools=functools, io=io, math=math, np=np, pd=pd, random=random, threading=threading,
    time=__import__("time"), Path=Path, subprocess=__import__("subprocess"),
    os=__import__("os"), n=0, xs=[1, 2], d={"k": []}, it=iter("abc"),
    rng=np.random.default_rng(0), frame=pd.DataFrame({"x": [1]}),
)  # fmt: skip


def task(source: str, **allowed: Any) -> Task:
    (node,) = ast.parse(source).body
    found = task_of(node, Knowledge(SPACE), Allowances(**allowed))
    assert found is not None
    return found


def plan(source: str) -> TaskPlan:
    return plan_tasks(ast.parse(textwrap.dedent(source)).body, Knowledge(SPACE), Allowances())


WORK = (
    "a = f(1)",
    "a = f(xs, d['k'])",
    "a, b = f(1, 2)",
    "a = read('x')",
    "a = level()",
    "a = math.factorial(9)",
    "a = np.delete(xs, 1)",
    "a = pd.DataFrame(d)",
    "a = frame.rename(columns={'x': 'y'})",
    "a = frame.to_json()",
    "a = frame.x.map(f)",
    "a = Client()",
    "a = unknown(1)",
    "a = client.get()",
    "a = sorted(xs, key=f)",
    "a = sum(f(1))",
    "a = np.random.default_rng(3)",
)
LIGHT = ("a = len(xs)", "a = dict()", "a = list(xs)", "a = Path('x')", "a = max(n, 3)")
BARRIERS = {
    "a = push(xs)": "changes `xs`",
    "a = xs.pop()": "changes `xs`",
    "a = d.get('k')": "hands out a part of `d`",
    "a = unknown.pop()": "may change `unknown`",
    "a = model.fit(xs)": "may change `model`",
    "a = count()": "",
    "a = f(z := 3)": "binds `z` too",
    "a = save('p')": "writ",
    "a = behind('p')": "writ",
    "a = save_by_mode('p', m)": "opens a file for writing",
    "a = Client().store(Path('p'))": "writes outside",
    "a = frame.to_csv('p')": "changes `the file 'p'`",
    "a = client.upload(xs)": "writes outside",
    "a = subprocess.run(['x'])": "outside",
    "a = os.remove('x')": "changes `the file 'x'`",
    "a = open('p')": "lives where it was made",
    "a = threading.Lock()": "lives where it was made",
    "a = zip(xs, xs)": "lives where it was made",
    "a = numbers()": "iterator",
    "a = cached()": "cache",
    "a = behind_cache()": "cache",
    "a = now()": "clock",
    "a = time.time()": "clock",
    "a = pd.Timestamp.now()": "clock",
    "a = f(it)": "moves on",
    "a = f(rng)": "moves on",
    "a = rng.normal()": "",
    "a = random.random()": "random numbers",
    "a = id(xs)": "id",
    "a = input()": "only the kernel can ask",
    "a = os.chdir('/')": "state of the process",
}


@pytest.mark.parametrize("source", WORK)
def test_work(source: str) -> None:
    assert task(source).kind is Kind.WORK, task(source).why


@pytest.mark.parametrize("source", LIGHT)
def test_light(source: str) -> None:
    assert task(source).kind is Kind.LIGHT, task(source).why


@pytest.mark.parametrize("source", BARRIERS)
def test_barrier(source: str) -> None:
    found = task(source)
    assert found.kind is Kind.BARRIER
    assert BARRIERS[source] in found.why


@pytest.mark.parametrize(
    "source",
    ("f(1)", "a = 1", "a: int = f(1)", "a = b = f(1)", "a.x = f(1)", "a += f(1)", "del n",
     "a, *b = f(1)", "xs[0], a = f(1)", "a = f(1) + 1", "if f(1): pass"),
)  # fmt: skip
def test_no_task(source: str) -> None:
    (node,) = ast.parse(source).body
    assert task_of(node, Knowledge(SPACE), Allowances()) is None


def test_what_the_user_allows() -> None:
    assert task("a = f(random.random())", seeded=True).kind is Kind.WORK
    assert task("a = push(xs)", local=frozenset({"xs"})).kind is Kind.WORK


def test_modules_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter in a module would count in each worker by itself."""
    source = "n = 0\ndef count():\n    global n\n    n += 1\ndef by_way():\n    return count()\n"
    source += "seen = []\ndef note(x):\n    seen.append(x)\n    return x\n"
    (tmp_path / "kept_count.py").write_text(source + "def pure(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(SPACE, "kept_count", importlib.import_module("kept_count"))
    assert "changes `n` of its module" in task("a = kept_count.count()").why
    assert "changes `n` of its module" in task("a = f(kept_count.by_way())").why
    assert "changes `seen` of its module" in task("a = kept_count.note(1)").why
    assert task("a = kept_count.pure(1)").kind is Kind.WORK


def test_join_waits_for_both() -> None:
    (group,) = plan("a = f(1)\nb = f(2)\nc = f(a, b)\ne = f(3)").groups
    assert [group.beside(i) for i in range(4)] == [[1, 3], [0, 3], [3], [0, 1, 2]]
    assert group.sources(2) == [0, 1]


def test_rebinding_waits_for_nobody() -> None:
    (group,) = plan("a = f(1)\nb = f(a)\na = f(2)\nc = f(a)").groups
    assert group.sources(3) == [2]
    assert group.beside(0) == [2, 3]


def test_functions_read_globals() -> None:
    (group,) = plan("n = f(1)\na = level()\nb = f(2)").groups
    assert group.sources(1) == [0]


def test_chain_is_no_group() -> None:
    found = plan("a = f(1)\nb = f(a)\nc = f(b)")
    assert not found.groups
    assert [t.node.lineno for t in found.kept] == [1, 2, 3]


def test_light_calls_alone_are_no_group() -> None:
    assert not plan("a = len(xs)\nb = len(xs)\nc = f(1)").groups


def test_barriers_cut() -> None:
    found = plan("a = f(1)\nb = f(2)\nprint(a)\nc = f(3)\ne = f(4)\nx = count()\ny = f(5)")
    assert [[t.node.lineno for t in g.tasks] for g in found.groups] == [[1, 2], [4, 5]]
    assert [t.node.lineno for t in found.kept] == [6, 7]


def test_what_the_cell_defines_counts() -> None:
    source = """
    def g(x):
        global n
        n = x
    def h(x):
        return x
    a = g(1)
    b = h(2)
    c = h(3)
    """
    (group,) = plan(source).groups
    assert [t.node.lineno for t in group.tasks] == [8, 9]


def test_callee_that_is_not_known_yet() -> None:
    (node,) = ast.parse("a = f(b.get(), c)").body
    found = task_of(node, Knowledge(SPACE, {"b", "c"}), Allowances())
    assert found is not None
    assert found.calls_through({"b"})
    assert not found.calls_through({"c"})


def test_long_ladder_is_planned_at_once() -> None:
    """Each statement reads the two before it: paths to the first one grow like Fibonacci's."""
    lines = ["a0 = f(0)", "a1 = f(1)"] + [f"a{i} = f(a{i - 1}, a{i - 2})" for i in range(2, 60)]
    (group,) = plan("\n".join(lines)).groups
    assert group.beside(0) == [1]
