"""SIGINT in a worker: it stops the task that it is meant for, at a moment when it may."""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any, NoReturn

from mpmagic.pool.words import Word, Words

__all__ = ["NO_TASK", "Interrupt"]

NO_TASK = 0
_PAUSE_SECONDS = 0.001  # for what swallowed an interrupt to end


class Interrupt:
    """SIGINT's handler: raises if, and only if, it is meant for the task that runs.

    A signal may arrive after the task that it was sent for; the shared word says which that was.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._held_off = 0
        self._is_due = False
        self._thread = threading.get_ident()
        self._told_before = sys.unraisablehook
        self._struck = NO_TASK
        self.task = NO_TASK
        self.has_struck = self.has_struck_an_import = False

    def begin(self, task: int) -> None:
        """Let it strike the task, from now on."""
        self.has_struck = False
        self.task = task

    def end(self) -> None:
        """Let it strike nothing: the task is over."""
        self.task = self._struck = NO_TASK

    def watch_finalisers(self) -> None:
        """Strike again where the first strike hit what no exception gets out of."""
        sys.unraisablehook = self._on_unraisable

    def install(self) -> None:
        if signal.getsignal(signal.SIGINT) != self._handle:
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, signum: int, frame: types.FrameType | None) -> None:
        if self.task == NO_TASK or self._words[Word.INTERRUPTED] != self.task:
            return
        if self._held_off:
            self._is_due = True
            return
        self.has_struck_an_import = _is_importing(frame)
        self._strike()

    def _strike(self) -> NoReturn:
        # Once: a second would strike while the first is being dealt with.
        self.task, self._struck = NO_TASK, self.task
        self.has_struck = True
        raise KeyboardInterrupt

    def _on_unraisable(self, unraisable: Any) -> None:
        """Take what a finaliser or a callback of a weak reference would only print.

        Nothing can be raised from here either, so the next signal comes when this is over. A bare
        thread: `threading` takes locks, which the code that was interrupted here may hold.
        """
        if self._struck == NO_TASK or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._told_before(unraisable)
            return
        self.task, self._struck = self._struck, NO_TASK
        _thread.start_new_thread(_signal_soon, (self._thread,))

    def raise_if_early(self) -> None:
        """Raise for a signal that came while the task was still on its way here."""
        if self._words[Word.INTERRUPTED] == self.task:
            self._handle(signal.SIGINT, None)

    def raise_if_swallowed(self) -> None:
        """Raise again what struck an import: its callers often take that for a missing module."""
        if self.has_struck_an_import:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held_off(self) -> Iterator[None]:
        """Put the interrupt off to the end of the block; other threads aren't interrupted."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._held_off += 1
        try:
            yield
        finally:
            self._held_off -= 1
            if self._is_due and not self._held_off:
                self._is_due = False
                if self.task != NO_TASK:
                    self._strike()


def _signal_soon(thread: int) -> None:
    time.sleep(_PAUSE_SECONDS)
    signal.pthread_kill(thread, signal.SIGINT)


def _is_importing(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False
