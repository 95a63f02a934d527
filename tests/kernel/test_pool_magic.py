"""``%mppool``, ``-n``, start methods, ``%mpcount``: the line magics in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.kernel.session import KernelSession, gone, kernel

PIDS = (
    "%%parallel -q --chunk 1 {options}\nimport os, time\npids = set()\nfor x in range(24):\n"
    "    time.sleep(0.03)\n    pids.add(os.getpid())"
)


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        yield running


def pids(session: KernelSession, options: str = "-n 2") -> list[int]:
    """Who did the work of a cell."""
    reply = session.execute(PIDS.format(options=options))
    assert reply.status == "ok", reply.traceback
    return list(session.value("sorted(pids)"))


def test_n_grows_the_pool(session: KernelSession) -> None:
    assert len(pids(session, "-n 2")) == 2
    assert len(pids(session, "-n 4")) == 4


def test_processes_persist(session: KernelSession) -> None:
    first, second = pids(session), pids(session)
    assert set(first) & set(second)


def test_mppool_shows_the_workers(session: KernelSession) -> None:
    ids = pids(session)
    shown = session.execute("%mppool").shown
    assert any(str(pid) in shown for pid in ids), shown


def test_mppool_stop_and_start_again(session: KernelSession) -> None:
    old = [psutil.Process(pid) for pid in pids(session)]
    assert session.execute("%mppool stop").status == "ok"
    assert gone(old)
    new = pids(session)
    assert not {p.pid for p in old} & set(new)


def test_mppool_restart_gives_new_workers(session: KernelSession) -> None:
    old = [psutil.Process(pid) for pid in pids(session)]
    assert session.execute("%mppool restart").status == "ok"
    assert gone(old)
    assert not {p.pid for p in old} & set(pids(session))


def test_mppool_sets_the_size(session: KernelSession) -> None:
    session.execute("%mppool restart")
    assert session.execute("%mppool -n 3").status == "ok"
    assert len(pids(session, "")) == 3


def test_mppool_with_a_bad_word_gives_usage(session: KernelSession) -> None:
    reply = session.execute("%mppool nonsense")
    assert "nonsense" in reply.shown
    assert "Traceback" not in reply.shown


def test_spawn(tmp_path: Path) -> None:
    with kernel(env={"MPMAGIC_START_METHOD": "spawn"}) as session:
        session.execute("def twice(x):\n    return 2 * x")
        reply = session.execute("%%parallel -q -n 2\nout = [twice(x) for x in range(5)]")
        assert reply.status == "ok", reply.traceback
        assert session.value("out") == [0, 2, 4, 6, 8]


def test_a_memory_limit_is_an_error_of_the_iteration() -> None:
    with kernel() as session:
        assert session.execute("%mppool --memory 400M").status == "ok"
        cell = (
            "%%parallel -q -n 2\nimport numpy as np\nout = []\nfor x in range(4):\n"
            "    out.append(np.ones(10 ** 8 if x == 2 else 10).sum())"
        )
        reply = session.execute(cell)
        assert reply.content["ename"].endswith("MemoryError")
        assert "memory_limit is 419,430,400 bytes" in reply.traceback
        assert "bytes at most" in reply.traceback
        assert session.value("list(map(int, out))") == [10, 10]
        caught = cell.replace("    out.append(", "    try:\n        y = int(").replace(
            ".sum())", ".sum())\n    except MemoryError:\n        y = -1\n    out.append(y)"
        )
        assert session.execute(caught).status == "ok"
        assert session.value("out") == [10, 10, -1, 10]


def test_a_size_that_is_none_gives_usage(session: KernelSession) -> None:
    assert "--memory" in session.execute("%mppool --memory lots").shown


def test_mpcount_gives_a_number(session: KernelSession, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\nlast without newline")
    reply = session.execute(f"n = %mpcount {path}")
    assert reply.status == "ok", reply.traceback
    assert session.value("int(n)") == 3
    assert session.value("n + 1") == 4


def test_mpcount_shows_files_and_total(session: KernelSession, tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"f{i}.txt").write_text("x\n" * (i + 1))
    shown = session.execute(f"%mpcount {tmp_path}/*.txt").shown
    for i in range(3):
        assert f"f{i}.txt" in shown
    assert "6" in shown


def test_mpcount_of_a_missing_file_names_it(session: KernelSession, tmp_path: Path) -> None:
    reply = session.execute(f"%mpcount {tmp_path}/missing.txt")
    assert "missing.txt" in reply.shown


def test_fewer_workers_than_there_are(session: KernelSession) -> None:
    """Iterations that overlap in time ran in two workers."""
    cell = (
        "%%parallel -q --chunk 1 -n {n}\nspans = []\nfor x in range(40):\n"
        "    begun = time.monotonic()\n    total = sum(range(100_000))\n"
        "    spans.append((begun, time.monotonic(), os.getpid()))"
    )
    assert session.execute("import os, time").status == "ok"
    assert session.execute(cell.format(n=2)).status == "ok"
    assert session.value("len({pid for _, _, pid in spans})") == 2
    assert session.execute(cell.format(n=1)).status == "ok"
    ends = session.value("[end for _, end, _ in spans]")
    begins = session.value("[begun for begun, _, _ in spans]")
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))


PRODUCTS = """
import numpy as np
rng = np.random.default_rng(0)
v, m = rng.normal(size=1_000_003), rng.normal(size=(700, 900))
def products(k):
    return [float(np.dot(v, v[::-1]) * k).hex(), (m @ m.T[:, :k]).tobytes(), (m @ m[k]).tobytes()]
"""
SUMS = "found = []\nfor k in range(300, 304):\n    found.append(products(k))"


def test_threads_as_in_the_kernel_give_equal_bits() -> None:
    with kernel() as session:
        assert session.execute(PRODUCTS).status == "ok"
        assert session.execute(f"{SUMS}\nserial = found").status == "ok"
        assert session.execute("%mppool --threads kernel").status == "ok"
        assert session.execute(f"%%parallel -q\n{SUMS}").status == "ok"
        assert session.value("(len(found), found == serial)") == (4, True)


def test_threads_of_the_workers() -> None:
    with kernel() as session:
        session.execute("import os\ndef caps(x):\n    return os.environ.get('OMP_NUM_THREADS')")
        cell = "%%parallel -q\nseen = {caps(x) for x in range(4)}"
        session.execute("%mppool --threads 3")
        assert session.execute(cell).status == "ok"
        assert session.value("seen") == {"3"}
        session.execute("%mppool --threads kernel")
        assert session.execute(cell).status == "ok"
        assert session.value("seen == {os.environ.get('OMP_NUM_THREADS')}") is True
        assert "none is not" in session.execute("%mppool --threads none").shown


NOTHING_AHEAD = """
from mpmagic.pool.preload import Preloads
Preloads.news_for = lambda self, worker: ()
"""


def test_first_cell_has_workers_import_nothing_of_the_kernels() -> None:
    """Neither what IPython's and numpy's filters of warnings name, nor what numpy's settings do."""
    with kernel() as new:
        setup = "import numpy, pandas\ndef f(x):\n    import sys\n    return [*sys.modules]"
        assert new.execute(setup).status == "ok"
        # A worker that waits for its first task imports ahead, which is another matter.
        assert new.execute(NOTHING_AHEAD).status == "ok"
        cell = "%%parallel -n 1\nout = []\nfor x in range(2):\n    out.append(f(x))"
        assert new.execute(cell).status == "ok"
        loaded = "{m.partition('.')[0] for m in out[0]}"
        assert new.value(f"sorted({loaded} & {{'IPython', 'numpy', 'pandas', 'traitlets'}})") == []
