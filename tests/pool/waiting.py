"""Waiting for things outside Python: files that appear, processes that end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

__all__ = ["text_of", "until", "wait_until_gone"]


def until(question: Callable[[], T], *, seconds: float = 30.0) -> T:
    """Ask until the answer is true; there is no event to wait for in another process."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.01)
    return answer


def text_of(path: Path) -> str:
    """Wait for a file with something in it; give that."""
    return until(lambda: path.exists() and path.read_text())  # type: ignore[return-value]


def wait_until_gone(*pids: int, seconds: float) -> list[int]:
    """Wait for processes to end; give those that haven't."""
    deadline = time.monotonic() + seconds
    left = list(pids)
    while left and time.monotonic() < deadline:
        left = [p for p in left if _lives(p)]
        threading.Event().wait(0.01)
    return left


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
