"""Running a count: in the caller's thread if it is small, else on one thread per core.

Threads, since every call that takes time releases the GIL; but regular expressions don't, unless
the kernel in C searches, so they run on processes once that pays for starting them. Measured with
20,000 files of 2 kB on two cores: one thread 0.20 s, two threads 0.25 s, `find | xargs wc -l`
0.53 s. So many small files stay in one thread, and so does what takes less time than starting one.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress

from mpmagic.count.agenda import Agenda
from mpmagic.count.counter import new_counter
from mpmagic.count.dispatch import Dispatch
from mpmagic.count.matching import lets_others_run
from mpmagic.count.newlines import BLOCK
from mpmagic.count.places import Place
from mpmagic.count.progress import Progress
from mpmagic.count.query import Query
from mpmagic.count.scan import Watch
from mpmagic.count.wholefile import Setting

__all__ = ["Engine"]

_LARGE = 4 * BLOCK
_SMALL_FILES = 32 << 10
# Small enough that no thread waits long for the last one of the others.
_PIECE = 8 * BLOCK
_BEGINNING = 64 << 10
# Memory is the limit long before.
_MOST = 16
_PATIENCE = 1.0
_REFRESH = 0.15


class Engine:
    """One run over the files of an agenda.

    Parameters
    ----------
    places : sequence of Place
        The files. Named pipes aren't among them.
    query : Query
        What is to be counted.
    threads : int, optional
        How many threads count; by default one per core that this process may use.
    executor : concurrent.futures.Executor, optional
        Counts what would make threads wait for each other; by default processes started for it, and
        the caller's thread.
    progress : Progress, optional
        Told how many bytes have been counted, after one second for the first time.
    """

    def __init__(
        self,
        places: Sequence[Place],
        query: Query,
        *,
        threads: int | None = None,
        executor: Executor | None = None,
        progress: Progress | None = None,
    ) -> None:
        total = sum(place.size for place in places)
        self._threads = _suitable_threads(total, len(places), threads)
        self._executor = executor
        self._on_processes = self._threads > 1 and _holds_gil(query, places)
        piece = max(BLOCK, min(_PIECE, total // (4 * max(1, self._threads))) // BLOCK * BLOCK)
        self.agenda = Agenda(places, query, piece)
        self._largest = max((place.size for place in places), default=0)
        self._progress = progress or Progress()

    def run(self) -> None:
        """Count everything; the records are in the agenda, also after an interrupt.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts. What was counted until then is kept.
        """
        try:
            if self._on_processes:
                self._run_processes()
            elif self._threads:
                self._run_threads()
            else:
                _work(self.agenda, self._largest, _Ticking(self._progress))
        finally:
            self._progress.close()
            self.agenda.close()

    def _run_processes(self) -> None:
        if self._executor is not None:
            ahead = 2 * max(1, self._threads)
            Dispatch(self.agenda, self._executor, ahead).run(self._progress.show)
            return
        from mpmagic.count.helpers import Helpers

        helpers = Helpers(self.agenda, self._threads - 1)
        try:
            helpers.start()
            watch = _Ticking(self._progress, helpers.done)
            _work(self.agenda, self._largest, watch)
            while helpers.are_at_work(_REFRESH):
                watch.advance(0)
            helpers.done()  # raises what made them give up
        finally:
            helpers.stop()

    def _run_threads(self) -> None:
        watches = [Watch() for _ in range(self._threads)]
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._thread, args=(watch, ended), daemon=True)
            for watch in watches
        ]
        try:
            for thread in threads:
                thread.start()
            self._wait(watches, ended)
        finally:
            for watch in watches:
                watch.cancelled = True
            for thread in threads:
                if thread.ident is not None:  # an interrupt may strike before it was started
                    thread.join()

    def _thread(self, watch: Watch, ended: queue.SimpleQueue[BaseException | None]) -> None:
        failure: BaseException | None = None
        try:
            _work(self.agenda, self._largest, watch)
        except BaseException as error:
            failure = error
        ended.put(failure)

    def _wait(self, watches: list[Watch], ended: queue.SimpleQueue[BaseException | None]) -> None:
        left, patience = len(watches), _PATIENCE
        while left:
            try:
                failure = ended.get(timeout=patience)
            except queue.Empty:
                patience = _REFRESH
                self._progress.show(sum(watch.done for watch in watches))
                continue
            left -= 1
            if failure is not None:
                raise failure


class _Ticking(Watch):
    """For a count in the caller's own thread: shows the progress in passing, that of others too."""

    __slots__ = ("_due", "_others", "_progress")

    def __init__(self, progress: Progress, others: Callable[[], int] = lambda: 0) -> None:
        super().__init__()
        self._progress = progress
        self._others = others
        self._due = time.monotonic() + _PATIENCE

    def advance(self, size: int) -> None:
        self.done += size
        if (now := time.monotonic()) >= self._due:
            self._due = now + _REFRESH
            self._progress.show(self.done + self._others())


def _work(agenda: Agenda, largest: int, watch: Watch) -> None:
    setting = Setting(new_counter(agenda.query, largest), watch, agenda.query.raw)
    while not watch.cancelled and (unit := agenda.take()) is not None:
        agenda.work(unit, setting)


def _holds_gil(query: Query, places: Sequence[Place]) -> bool:
    """Whether threads would wait for each other, as far as the beginning of a file tells."""
    if query.groups or not query.match:
        return query.groups
    largest = max(places, key=lambda place: place.size)
    beginning = b""
    if largest.source is None:
        with suppress(OSError), open(largest.path, "rb") as file:
            beginning = file.read(_BEGINNING)
    return not lets_others_run(query.match, beginning)


def _suitable_threads(total: int, files: int, wanted: int | None) -> int:
    """How many threads to start; 0 is the caller's own thread alone."""
    if total < _LARGE or total < files * _SMALL_FILES:
        return 0
    if wanted is None:
        # Not what mpmagic.pool says: importing it takes longer than counting a gigabyte.
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        wanted = min(_MOST, len(cores) or os.cpu_count() or 1)
    return max(1, min(wanted, total // BLOCK))
