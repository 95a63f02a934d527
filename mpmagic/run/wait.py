"""The main thread's way to wait: for results and for the stop button, on one descriptor.

A `KeyboardInterrupt` can strike between any two bytecodes, and leaves conditions, events and
queues locked. So while a cell runs ours, SIGINT raises only inside the user's own code; anywhere
else it leaves a mark and wakes the wait.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Inbox"]


class Inbox:
    """Where the main thread learns that a future is done, or that the user interrupts.

    A context manager: SIGINT is ours between entering and leaving. It keeps its descriptors as
    long as it lives: a late future of a loop that is over may still knock.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._interrupted = False
        self._user_code = False
        self._before: Any = None
        self._depth = 0

    def __enter__(self) -> Inbox:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def watch(self, future: Future[Any]) -> None:
        """Report `future` when it is done."""
        future.add_done_callback(self.wake)

    def enter_user_code(self) -> None:
        """From here on an interrupt raises at once; one that is waiting does so now."""
        self._user_code = True
        self.raise_interrupt()

    def leave_user_code(self) -> None:
        """From here on an interrupt waits until it is asked for."""
        self._user_code = False

    def raise_interrupt(self) -> None:
        """Raise an interrupt that is waiting.

        Raises
        ------
        KeyboardInterrupt
            If there is one.
        """
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    def wait_until(
        self,
        done: Callable[[], bool],
        *,
        interruptible: bool = True,
        pause: float | None = None,
        tick: Callable[[], object] | None = None,
    ) -> None:
        """Wait until `done()`, which is asked again whenever a watched future is done.

        Parameters
        ----------
        done
            Whether it's over.
        interruptible
            Whether the user may end it.
        pause, tick
            Seconds after which `tick` is called, over and over; by default it never is.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts a wait that is interruptible.
        """
        while not done():
            if interruptible:
                self.raise_interrupt()
            select.select([self._reader], [], [], pause)
            self._drain()
            if tick is not None:
                tick()

    def _drain(self) -> None:
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            return

    def wake(self, _future: Future[Any] | None = None) -> None:
        """Have a wait ask again; from any thread."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._user_code:
            self._user_code = False
            raise KeyboardInterrupt
        self._interrupted = True
        self.wake()
