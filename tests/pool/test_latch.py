"""Waiting for what happens once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import psutil
import pytest

from mpmagic.pool.latch import Latch
from tests.pool.waiting import until

SECONDS = 20.0
"""After which a wait that an interrupt doesn't end is ended by the test."""


@pytest.fixture
def _a_handler_that_lets_calls_go_on() -> Iterator[None]:
    """As a library in C or Rust may have put it."""
    signal.siginterrupt(signal.SIGINT, False)
    yield
    signal.siginterrupt(signal.SIGINT, True)


@pytest.mark.usefixtures("_a_handler_that_lets_calls_go_on")
@pytest.mark.parametrize("timeout", [None, 60 * SECONDS])
def test_an_interrupt_ends_a_wait(timeout: float | None) -> None:
    latch, interrupted = Latch(), threading.Event()
    main = threading.main_thread()

    def interrupt() -> None:
        until(lambda: bool(latch._gates) and is_asleep(main))
        signal.pthread_kill(main.ident or 0, signal.SIGINT)
        interrupted.wait(SECONDS)
        latch.open()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            latch.wait(timeout)
        assert not latch.is_open
    finally:
        interrupted.set()
        thread.join()


def is_asleep(thread: threading.Thread) -> bool:
    state = psutil.Process(thread.native_id).status()
    return bool(state == psutil.STATUS_SLEEPING)


def test_it_lets_all_through_from_then_on() -> None:
    latch = Latch()
    through: list[bool] = []
    threads = [threading.Thread(target=lambda: through.append(latch.wait())) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(latch._gates) == 3)
    assert not through
    latch.open()
    for thread in threads:
        thread.join()
    assert through == [True] * 3
    assert latch.wait()


def test_it_waits_no_longer_than_it_should() -> None:
    assert not Latch().wait(0.001)
    assert not Latch().wait(-1)
