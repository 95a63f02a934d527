"""joblib's calls, and scikit-learn's, give on the pool what they give serially."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpmagic.pool import Pool
from tests.pool import tasks

joblib = pytest.importorskip("joblib")


@pytest.fixture
def on_pool(new_pool: Callable[..., Pool]) -> Any:
    """Run joblib's calls on a pool of two."""
    from mpmagic.pool.joblib_backend import register

    register(new_pool(2))
    with joblib.parallel_config("mpmagic", n_jobs=2):
        yield
    joblib.parallel.BACKENDS.pop("mpmagic")  # it would keep the pool


def test_results_are_in_order(on_pool: None) -> None:
    results = joblib.Parallel()(joblib.delayed(tasks.square)(i) for i in range(500))
    assert results == [i * i for i in range(500)]
    pids = set(joblib.Parallel()(joblib.delayed(tasks.pid_after)(0.02) for _ in range(20)))
    assert os.getpid() not in pids and len(pids) == 2


def test_a_generator_gives_results_as_they_come(on_pool: None) -> None:
    parallel = joblib.Parallel(return_as="generator")
    assert list(parallel(joblib.delayed(tasks.square)(i) for i in range(50))) == [
        i * i for i in range(50)
    ]


def test_an_error_keeps_the_workers(on_pool: None) -> None:
    warm = joblib.Parallel()(joblib.delayed(tasks.pid_after)(0.02) for _ in range(10))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel()(joblib.delayed(tasks.divide)(1, 5 - i) for i in range(50))
    after = joblib.Parallel()(joblib.delayed(tasks.pid_after)(0.02) for _ in range(10))
    assert set(after) == set(warm)


def test_nested_calls_run_inside_the_worker(on_pool: None) -> None:
    def outer(n: int) -> list[int]:
        return list(joblib.Parallel(n_jobs=2)(joblib.delayed(tasks.square)(i) for i in range(n)))

    results = joblib.Parallel()(joblib.delayed(outer)(n) for n in range(5))
    assert results == [[i * i for i in range(n)] for n in range(5)]


def test_an_initializer_prepares_the_workers_or_is_refused(on_pool: None) -> None:
    with pytest.raises(ValueError, match="give the initializer to that Pool"):
        joblib.Parallel(initializer=tasks.square, initargs=(1,))(
            joblib.delayed(tasks.square)(i) for i in range(5)
        )


def test_cross_validation_is_equal(on_pool: None) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    x, y = datasets.make_classification(400, random_state=1)
    model = RandomForestClassifier(20, random_state=2)
    scores = cross_val_score(model, x, y, n_jobs=2)
    with joblib.parallel_config("sequential"):
        assert np.array_equal(scores, cross_val_score(model, x, y))
