"""A thread that sleeps until a descriptor is ready, a command comes, or a time has come."""

from __future__ import annotations

import _thread
import logging
import selectors
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from mpmagic.pool.latch import Latch
from mpmagic.pool.timers import Timers
from mpmagic.pool.wake import Command, Inbox

__all__ = ["Loop"]


class Loop(ABC):
    """An object whose state one thread owns; the others send it commands.

    Parameters
    ----------
    name : str
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._inbox = Inbox()
        self._timers = Timers()
        self._selector = selectors.DefaultSelector()
        # A key's data is called with the events.
        self._selector.register(self._inbox, selectors.EVENT_READ, lambda _: self._obey())
        self._start = threading.Lock()
        self._is_started = False
        self._has_started = Latch()
        self._was_told = False
        self.finished = Latch()

    # From any thread

    def tell(self, command: Command) -> None:
        """Have a command run in the loop's thread."""
        self._was_told = True
        self._inbox.put(command)
        if not self._is_started:
            # From a thread of its own: Thread.start() waits on an Event, which an interrupt of
            # the main thread would leave locked. If the main thread is interrupted before this
            # line, the next command starts it.
            _thread.start_new_thread(self._start_once, ())
            # Python 3.12 makes no threads once the main thread has come to its end, and that may
            # be the next thing it does.
            self._has_started.wait()
        if self.finished.is_open:
            self._obey()  # nobody else will; what is told now is told that it is over

    def ask(self, question: Callable[[], Any]) -> Any:
        """Have a question answered in the loop's thread; wait for the answer, or its exception."""
        answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.tell(lambda: answers.put(_answer(question)))
        answer, error = answers.get()
        if error is not None:
            raise error
        return answer

    @property
    def is_in_use(self) -> bool:
        """Whether it has ever been told anything; if not, it has no thread."""
        return self._was_told

    def join(self) -> None:
        """Wait until it is over and its thread has ended."""
        self.finished.wait()
        if self._is_started and threading.current_thread() is not self._thread:
            self._thread.join()

    def _start_once(self) -> None:
        if not self._start.acquire(blocking=False):
            return
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=False)
        try:
            self._begin_work()
            self._thread.start()
        except RuntimeError:  # no more threads in this process, or it is ending
            self._end_work()
            self.finished.open()
            self._obey()
        else:
            self._is_started = True
        finally:
            self._has_started.open()

    # In its own thread

    def _run(self) -> None:
        try:
            while not self._is_over():
                for key, events in self._selector.select(self._timers.pause()):
                    key.data(events)
                self._timers.run_due()
                self._work()
        except BaseException as error:
            logging.getLogger("mpmagic.pool").exception("%s failed", self._name)
            self._fail(error)
        finally:
            self._end_work()
            self._selector.close()
            self.finished.open()
            self._obey()  # what was told in the meantime

    def _obey(self) -> None:
        for command in self._inbox.take():
            command()

    @abstractmethod
    def _begin_work(self) -> None:
        """Start what has to run beside the loop; in whatever thread starts it."""

    @abstractmethod
    def _work(self) -> None:
        """Do what there is to do after something has happened."""

    @abstractmethod
    def _is_over(self) -> bool: ...

    @abstractmethod
    def _fail(self, error: BaseException) -> None:
        """Tell everybody that the loop has failed."""

    @abstractmethod
    def _end_work(self) -> None:
        """Let go of everything; from now on commands are told that it is over."""


def _answer(question: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Ask; what goes wrong concerns whoever waits for the answer, and nobody else."""
    try:
        return question(), None
    except BaseException as error:
        return None, error
