"""Loops on ipyparallel's engines, of a cluster that it starts itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.compare import assert_equal
from tests.engines.names import named
from tests.engines.test_executors import CELL, DISPLAYED, DISPLAYS, SETUP
from tests.notebook import Notebook


@pytest.fixture
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import ipyparallel  # of an extra of its own: without it these tests can still be collected

    folder = str(tmp_path_factory.mktemp("ipython"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", folder)
        cluster = ipyparallel.Cluster(n=2, ipython_dir=folder, controller_ip="127.0.0.1",
                                      send_engines_connection_env=True)  # fmt: skip
        cluster.start_cluster_sync()
        try:
            made = cluster.connect_client_sync()
            made.wait_for_engines(2, timeout=60, interactive=False)
            yield made
            made.close()
        finally:
            cluster.stop_cluster_sync()


def test_equal_and_after_a_death(client: Any, pool_notebook: Notebook) -> None:
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
        assert_equal(pool_notebook, DISPLAYS, setup=DISPLAYED, options="--on client --chunk 1")
        _lose_an_engine(pool_notebook)
        assert_equal(pool_notebook, CELL, setup=SETUP, options="--on client")


def _lose_an_engine(notebook: Notebook) -> None:
    setup = (
        "def dies(x):\n    import os\n    if x == 7:\n        os.kill(os.getpid(), 9)\n    return x"
    )
    cell = "out = []\nfor x in range(20):\n    y = dies(x)\n    out.append(y)"
    outcome = notebook.run(setup, f"%%parallel --on client --chunk 1\n{cell}")
    assert type(outcome.error).__name__ == "EngineError"
    assert "an engine is gone" in str(outcome.error)
    assert outcome.names["out"] == list(range(len(outcome.names["out"])))
