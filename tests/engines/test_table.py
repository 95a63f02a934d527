"""Cells of the table in processes of an executor that isn't mpmagic's own, and on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from distributed import Client

from tests.cells.gaps import RACES
from tests.cells.table import Case, load_cases
from tests.cells.test_table import check
from tests.engines.conftest import client_of, running
from tests.engines.names import named
from tests.notebook import Notebook

GROUPS = ("aliases", "arrays", "attempts", "counters", "exceptions", "figures", "functions",
          "identity", "loopless", "managers", "output", "prepared", "process", "random",
          "soundness")  # fmt: skip
"""Those in which it matters what workers have of the notebook, and what comes back."""

CASES = [
    pytest.param(case, id=case.id)
    for case in load_cases()
    if case.id.partition("/")[0] in GROUPS and case.engine in ("", "pool") and case.id not in RACES
]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as made:
        yield made


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("cluster")
    with running(folder) as cluster, client_of(cluster) as made:
        yield made


@pytest.mark.parametrize("case", CASES)
def test_as_a_guest(case: Case, pool_notebook: Notebook, executor: Executor) -> None:
    with named(pool_notebook, guest_engine=executor):
        check(case, pool_notebook, "--on guest_engine --chunk 1")


@pytest.mark.parametrize("case", CASES)
def test_on_a_cluster(case: Case, pool_notebook: Notebook, dask: Client) -> None:
    with named(pool_notebook, guest_engine=dask):
        check(case, pool_notebook, "--on guest_engine --chunk 1")
