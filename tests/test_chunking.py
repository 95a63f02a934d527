"""Sizes of chunks: all iterations are given out, in few chunks, and workers end together."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest

from mpmagic.run.chunking import STEADY_SECONDS, TARGET_SECONDS, Chunking


def _given_out(
    seconds: list[float], workers: int, *, past: list[float] | None = None
) -> tuple[list[int], float]:
    """The sizes, and the makespan: each chunk goes to the worker that is free first."""
    chunking = Chunking(workers)
    if past:
        chunking.expect(past)
    free, sizes, first = [0.0] * workers, list[int](), 0
    while first < len(seconds):
        size = chunking.next_size(len(seconds) - first)
        took = sum(seconds[first : first + size])
        heapq.heappush(free, heapq.heappop(free) + took)
        chunking.learn(size, took)
        sizes.append(size)
        first += size
    assert sum(sizes) == len(seconds)
    return sizes, max(free)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("each", [1e-6, 1e-3, 0.05, 2.0])
def test_even_iterations_end_together(workers: int, each: float) -> None:
    seconds = [each] * 1000
    sizes, makespan = _given_out(seconds, workers, past=seconds)
    spare = max(each, 5e-3)  # what a chunk at the end holds
    assert makespan <= sum(seconds) / workers + spare
    assert max(sizes) * each <= max(STEADY_SECONDS, each) * 1.01
    first_time, _ = _given_out(seconds, workers)
    assert max(first_time) * each <= max(TARGET_SECONDS, each) * 1.01


@pytest.mark.parametrize("lap", [lambda: random.expovariate(1000), lambda: random.random() / 500])
def test_uneven_iterations_end_together(lap: Callable[[], float]) -> None:
    random.seed(7)
    seconds = [lap() for _ in range(2000)]
    _, makespan = _given_out(seconds, 2, past=seconds)
    assert makespan <= 1.03 * sum(seconds) / 2


def test_fewer_chunks_where_iterations_are_even() -> None:
    even, uneven = [0.001] * 1000, ([0.0005] * 100 + [0.0015] * 100) * 5
    assert len(_given_out(even, 2, past=even)[0]) < len(_given_out(uneven, 2, past=uneven)[0])


def test_of_a_steady_loop_each_worker_has_equal_chunks() -> None:
    seconds = [0.001] * 1000
    sizes, _ = _given_out(seconds, 2, past=seconds)
    assert sizes[0] == sizes[1] == 250  # a quarter of a second
    assert sizes[2] == sizes[3] == pytest.approx(500 / 2.2, abs=1)  # nearly all that is left
    assert len(sizes) <= 10


def test_a_batch_leaves_something_for_a_late_worker() -> None:
    seconds = [0.02] * 20
    sizes, _ = _given_out(seconds, 2, past=seconds)
    assert sizes == [9, 9, 1, 1]


def test_too_little_to_share_out_again() -> None:
    seconds = [0.0001] * 1000
    assert _given_out(seconds, 8, past=seconds)[0] == [125] * 8


def test_a_loop_that_takes_longer_than_the_last_time_is_not_steady() -> None:
    chunking = Chunking(2)
    chunking.expect([0.001] * 1000)
    assert chunking.next_size(500) == int(500 / 2.2)
    chunking.next_size(273)
    chunking.learn(250, 0.3)
    assert chunking.next_size(100) < 100 / 2.2


def test_evenness_is_learnt_and_unlearnt() -> None:
    chunking = Chunking(2)
    for _ in range(8):
        chunking.learn(100, 0.1)
    steady = chunking.next_size(100)
    chunking.learn(100, 0.2)
    assert chunking.next_size(100) < steady


def test_the_last_chunks_are_worth_sending() -> None:
    seconds = [0.001] * 1000
    sizes, _ = _given_out(seconds, 2, past=[0.0008, 0.0012] * 500)
    assert min(sizes[:-1]) >= 5


def test_nothing_is_known_of_how_many_are_left() -> None:
    chunking = Chunking(2)
    assert chunking.next_size(None) == 1
    chunking.learn(1, 0.001)
    assert chunking.next_size(None) == 16


def test_what_the_user_wants() -> None:
    chunking = Chunking(2, 7)
    chunking.learn(7, 100.0)
    assert chunking.next_size(3) == chunking.next_size(None) == 7
