"""Processes that count along with the caller's own thread.

To start one takes as long as to search some hundred megabytes: meanwhile the caller counts, and
goes on when it's there.
"""

from __future__ import annotations

import threading

from mpmagic.count.agenda import Agenda
from mpmagic.count.dispatch import Dispatch

__all__ = ["Helpers"]

# The caller holds the GIL most of the time, so that this thread comes to its turn late: there has
# to be work at hand for a process until then, but not so much that the others wait for it.
_AHEAD = 3


class Helpers:
    """Takes units from an agenda, as the caller does, until none are left.

    Parameters
    ----------
    agenda : Agenda
        What is to be done.
    processes : int
        How many processes to start for it.
    """

    def __init__(self, agenda: Agenda, processes: int) -> None:
        self._done = 0
        self._agenda = agenda
        self._processes = processes
        self._dispatch: Dispatch | None = None
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mpmagic-count", daemon=True)

    def start(self) -> None:
        """Start them; returns at once."""
        self._thread.start()

    def done(self) -> int:
        """How many bytes have been counted.

        Raises
        ------
        Exception
            What made them give up, such as the death of a process.
        """
        if self._failure is not None:
            raise self._failure
        return self._done

    def are_at_work(self, patience: float) -> bool:
        """Whether something is still under way after waiting that many seconds for its end."""
        self._thread.join(patience)
        return self._thread.is_alive()

    def stop(self) -> None:
        """Call off what is under way and end the processes."""
        self._stopped.set()
        if self._dispatch is not None:
            self._dispatch.stop()
        if self._thread.ident is not None:  # an interrupt may strike before it was started
            self._thread.join()

    def _run(self) -> None:
        try:
            from mpmagic.pool import Pool

            with Pool(self._processes) as pool:
                self._dispatch = Dispatch(self._agenda, pool, _AHEAD * self._processes)
                if not self._stopped.is_set():
                    self._dispatch.run(self._note)
        except BaseException as error:
            self._failure = error

    def _note(self, done: int) -> None:
        self._done = done
