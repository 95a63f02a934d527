"""KeyboardInterrupt at any bytecode of a call leaves the pool usable."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from mpmagic.pool import Pool
from tests.pool import tasks


class _Striker:
    """Raises KeyboardInterrupt at the nth bytecode that runs, in whatever function."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_name in ("__del__", "forget"):
            return None  # the interpreter swallows what is raised in finalisers
        if frame.f_code.co_filename == collections.__file__:
            return None  # the C pickler leaks what its dispatch table, a ChainMap, raises
        frame.f_trace_opcodes = True
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self

    @property
    def has_struck(self) -> bool:
        return self._left <= 0


def _interrupted(call: Callable[[], Any], nth: int) -> bool:
    """Make a call and interrupt it; say whether it was long enough for that."""
    striker = _Striker(nth)
    before = sys.gettrace()
    sys.settrace(striker)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return striker.has_struck


def _submit(pool: Pool) -> Any:
    return pool.submit(tasks.square, 3)


def _dispatch_large(pool: Pool) -> Any:
    return pool.dispatch(len, (memoryview(b"x" * 400_000).tobytes(),), on_report=print, label="x")


def _result(pool: Pool) -> Any:
    return pool.submit(tasks.square, 3).result(30)


def _interrupt(pool: Pool) -> None:
    pool.interrupt([pool.submit(tasks.sleep, 0.001)])


def _cancel(pool: Pool) -> None:
    future = pool.submit(tasks.sleep, 0.001)
    future.add_done_callback(lambda f: None)
    future.cancel()


def _ask(pool: Pool) -> None:
    pool.workers()
    pool.submit_each(tasks.square, 3)


@pytest.mark.parametrize("call", [_submit, _dispatch_large, _result, _interrupt, _cancel, _ask])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_anywhere(new_pool: Callable[..., Pool], call: Callable[[Pool], Any]) -> None:
    pool = new_pool(2)
    # What is imported or started the first time has a test of its own; and Python 3.12 traces no
    # bytecodes the first time.
    _interrupted(lambda: call(pool), 1 << 60)
    nth, step = 1, 3
    while _interrupted(lambda: call(pool), nth):
        assert pool.submit(tasks.square, nth).result(30) == nth * nth
        nth += step
    assert nth > 100


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_while_the_pool_starts(new_pool: Callable[..., Pool]) -> None:
    nth = 1
    while True:
        pool = new_pool(1)
        if not _interrupted(lambda p=pool: p.submit(tasks.square, 2), nth):  # type: ignore[misc]
            break
        assert pool.submit(tasks.square, 3).result(30) == 9
        pool.shutdown()
        nth += 29
