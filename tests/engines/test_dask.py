"""Loops on a real scheduler and workers: equal results, whatever dies."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from dask.sizeof import sizeof
from distributed import Client
from distributed.comm import core

import mpmagic
from mpmagic.engine.dask import DaskEngine
from tests.compare import assert_equal, judge
from tests.engines.conftest import Cluster, client_of, running
from tests.engines.names import named
from tests.engines.test_executors import CELL, CHILDREN, DISPLAYED, DISPLAYS, SETUP
from tests.notebook import Notebook


def test_equal(client: Client, pool_notebook: Notebook) -> None:
    with named(pool_notebook, client=client):
        for chunk in ("", "--chunk 1"):
            judgement = assert_equal(
                pool_notebook, CELL, setup=SETUP, options=f"--on client {chunk}"
            )
            assert judgement.parallel.report.split == 1
        cell = "a = slow(1)\nb = slow(2)\nc = (a, b)"
        assert_equal(pool_notebook, cell, setup=SETUP, options="--on client")
        cell = "out = []\nfor x in range(20):\n    y = 1 / (7 - x)\n    out.append(y)"
        assert_equal(pool_notebook, cell, options="--on client")


def test_output_of_children_and_displays(client: Client, pool_notebook: Notebook) -> None:
    with named(pool_notebook, client=client):
        cell = f"%%parallel -q --on client --chunk 2\n{CHILDREN}"
        outcome = pool_notebook.run("import subprocess", cell)
        assert_equal(pool_notebook, DISPLAYS, setup=DISPLAYED, options="--on client --chunk 1")
    lines = [f"{word} {x}\n" for x in range(6) for word in ("before", "child", "after")]
    assert outcome.text("stdout") == "".join(lines)
    assert outcome.text("stderr") == "".join(f"error {x}\n" for x in range(6))


def test_client_leaves_the_stream_alone(client: Client, pool_notebook: Notebook) -> None:
    with named(pool_notebook, client=client):
        assert_equal(pool_notebook, "out = [x + 1 for x in range(5)]", options="--on client")
    state = random.getstate()
    sizeof([str(x) for x in range(10_000)])
    assert core.random is not random
    assert random.getstate() == state


def test_calls_called_back_while_their_results_come(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    executor = DaskEngine(client, None, name="client").executor
    futures = []
    for _ in range(20):
        futures.append(executor.submit(bytes, 20_000_000))
        while not futures[-1].done():
            if any(state.status == "finished" for state in client.futures.values()):
                futures[-1].cancel()
    assert not wait(futures, timeout=60).not_done
    assert any(future.cancelled() for future in futures)
    assert not caplog.records


def test_large_values_travel_once(client: Client, pool_notebook: Notebook) -> None:
    with named(pool_notebook, client=client):
        for _ in range(2):
            assert_equal(pool_notebook, CELL, setup=SETUP, options="--on client --chunk 1")
        held = [k for keys in client.has_what().values() for k in keys if "mpmagic-" in str(k)]
    assert len(held) <= 2 * len(set(held))


def test_address_and_relative_paths(
    cluster: Cluster, client: Client, pool_notebook: Notebook
) -> None:
    """Workers have folders of their own; the work reads the notebook's."""
    setup = "from pathlib import Path\nfor i in range(6):\n    _ = Path(str(i)).write_text(f't{i}')"
    cell = "out = []\nfor i in range(6):\n    text = Path(str(i)).read_text()\n    out.append(text)"
    assert_equal(pool_notebook, cell, setup=setup, options=f"--on {cluster.address}")
    folders = client.run(os.getcwd).values()
    assert all(Path(folder).is_relative_to(cluster.folder) for folder in folders)
    pool_notebook.magics.close()


def test_worker_killed_in_the_middle(
    cluster: Cluster, client: Client, pool_notebook: Notebook, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    setup = f"""\
def dies(x):
    import os, signal
    if x == 7:
        try:
            os.close(os.open({str(once)!r}, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return x
        os.kill(os.getpid(), signal.SIGKILL)
    return x
"""
    cell = "out = []\nfor x in range(20):\n    y = dies(x)\n    out.append(y)"
    with named(pool_notebook, client=client):
        outcome = pool_notebook.run(setup, f"%%parallel --on client --chunk 1\n{cell}")
    assert outcome.error is None
    assert outcome.names["out"] == list(range(20))
    assert once.exists()
    assert [w.wait(60) for w in cluster.workers if w.poll() is not None] == [-signal.SIGKILL]


def test_scheduler_gone_in_the_middle(
    cluster: Cluster, client: Client, pool_notebook: Notebook
) -> None:
    setup = f"""\
def kills(x):
    import os, signal, threading
    if x == 9:
        os.kill({cluster.scheduler.pid}, signal.SIGKILL)
        threading.Event().wait(60)
    return x
"""
    cell = "out = []\nfor x in range(20):\n    y = kills(x)\n    out.append(y)"
    with named(pool_notebook, client=client):
        outcome = pool_notebook.run(setup, f"%%parallel --on client --chunk 1\n{cell}")
        assert type(outcome.error).__name__ == "EngineError"
        assert "the scheduler can't be reached" in str(outcome.error)
        assert outcome.names["out"] == list(range(len(outcome.names["out"])))
        again = pool_notebook.run("", "%%parallel --on client\nout = [x + 1 for x in range(3)]")
        assert "the scheduler can't be reached" in str(again.error)
    outcome = pool_notebook.run("", "%%parallel\nout = [x + 1 for x in range(5)]")
    assert outcome.names["out"] == [1, 2, 3, 4, 5]


def test_nobody_at_the_address(pool_notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpmagic.engine.dask._SECONDS", 1)
    cell = "%%parallel --on tcp://127.0.0.1:9\nout = [x + 1 for x in range(3)]"
    outcome = pool_notebook.run("", cell)
    assert "no scheduler answers there" in str(outcome.error)
    assert "out" not in outcome.names


def _refused_by(notebook: Notebook, folder: Path, workers: int = 1, **options: Any) -> str:
    """Why a cell is refused on a cluster whose workers get the options."""
    with (
        running(folder, workers, **options) as cluster,
        client_of(cluster) as client,
        named(notebook, client=client),
    ):
        cell = "out = [x + 1 for x in range(3)]"
        return judge(notebook, cell, options="--on client").why


def test_workers_without_mpmagic(tmp_path: Path, pool_notebook: Notebook) -> None:
    why = _refused_by(pool_notebook, tmp_path, without_mpmagic=True)
    assert "haven't got mpmagic. Install it there" in why


def test_workers_with_an_older_mpmagic(tmp_path: Path, pool_notebook: Notebook) -> None:
    """Real ones, whose package differs from the notebook's in one line."""
    older = tmp_path / "older"
    shutil.copytree(Path(mpmagic.__file__).parent, older / "mpmagic")
    errors = older / "mpmagic" / "errors.py"
    errors.write_text(errors.read_text() + "\n# as it was\n")
    why = _refused_by(pool_notebook, tmp_path, path=older)
    assert "have another version of mpmagic than the notebook. Install the" in why


def test_count_on_a_cluster(client: Client, pool_notebook: Notebook, tmp_path: Path) -> None:
    """Files that the workers see, by their paths and by the URLs of fsspec."""
    path = tmp_path / "web.log"
    path.write_text("GET /a\nPOST /b\n" * 400_000)
    assert subprocess.run(["grep", "-c", "^GET", path], capture_output=True, text=True).stdout == (
        "400000\n"
    )
    with named(pool_notebook, client=client):
        for name in (path, path.as_uri()):
            outcome = pool_notebook.run("", f"n = %mpcount {name} --match ^GET --on client")
            assert outcome.error is None, outcome.error
            assert int(outcome.names["n"]) == 400_000


def test_resumed_on_a_cluster(client: Client, pool_notebook: Notebook, tmp_path: Path) -> None:
    cell = "out = []\nfor x in range(9):\n    if x == bad:\n        raise ValueError(x)\n"
    cell += "    out.append(x * x)\nout"
    magic = f"%%parallel --on client --chunk 1 --resume {tmp_path / 'kept'}\n"
    with named(pool_notebook, client=client):
        failed = pool_notebook.run("bad = 7", magic + cell)
        assert isinstance(failed.error, ValueError) and failed.names["out"][-1] == 36
        again = pool_notebook.run("bad = 7", magic + cell)
    assert isinstance(again.error, ValueError)
    assert again.report.loops[0].resumed == 7 and again.names["out"] == failed.names["out"]


def test_no_workers(tmp_path: Path, pool_notebook: Notebook) -> None:
    assert "has no workers" in _refused_by(pool_notebook, tmp_path, workers=0)
