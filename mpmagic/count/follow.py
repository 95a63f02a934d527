"""Counting files while they grow, until the user has seen enough."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from mpmagic.count.counter import Counter, new_counter
from mpmagic.count.counts import Counts
from mpmagic.count.newlines import BLOCK
from mpmagic.count.places import Paths, expand
from mpmagic.count.query import Query
from mpmagic.count.record import FileCount, Status, failed, record_of
from mpmagic.count.regular import open_regular
from mpmagic.count.scan import SpanReader, Watch
from mpmagic.count.special import refusal
from mpmagic.count.tally import Tally
from mpmagic.count.tree import Selection
from mpmagic.count.wholelines import last_line_end

__all__ = ["Follower", "follow"]

Show = Callable[[Counts, float], None]


class Follower:
    """Counts of some files that reads only what is new each time.

    A file that has been cut off or replaced, as rotated logs are, is counted on from the
    beginning of the new one: the number is that of the lines seen.

    Parameters
    ----------
    paths : str, Path or an iterable of them
        The files, as for `count_lines`; what a glob or a directory gains later is counted too.
    query : Query
        What to count. Lines are looked at when they have ended.
    selection : Selection
        Which files of directories are meant.
    """

    def __init__(self, paths: Paths, query: Query, selection: Selection) -> None:
        self._paths = paths
        self._query = query
        self._selection = selection
        self._counter = new_counter(query, 4 * BLOCK)
        self._files: dict[str, _Growing] = {}

    def update(self) -> Counts:
        """Count what has come since the last time."""
        records = []
        for place in expand(self._paths, self._selection):
            file = self._files.setdefault(place.path, _Growing(place.path))
            error = place.error or refusal(place)
            if place.is_stream:
                error = OSError("a stream, not a file that grows")
            records.append(file.record(error) if error else file.update(self._counter, self._query))
        return Counts(records, self._query.shown, timed=bool(self._query.interval))


class _Growing:
    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = (0, 0)
        self._offset = 0
        self._total = Tally()

    def update(self, counter: Counter, query: Query) -> FileCount:
        try:
            descriptor = open_regular(self._path)
        except OSError as error:  # it may come back: rotation takes it away for a moment
            return self.record(error)
        try:
            seen = os.fstat(descriptor)
            identity = (seen.st_dev, seen.st_ino)
            if identity != self._identity or seen.st_size < self._offset:
                self._identity, self._offset = identity, 0
            stop = last_line_end(descriptor, seen.st_size) if query.aligned else seen.st_size
            part, reader = Tally(), SpanReader(descriptor, (self._offset, stop), Watch())
            counter.count(reader, part)
        except OSError as error:
            return self.record(error)
        finally:
            os.close(descriptor)
        part.size, self._offset = reader.offset - self._offset, max(reader.offset, self._offset)
        self._total.join(part)
        return self.record()

    def record(self, error: OSError | None = None) -> FileCount:
        if error is None:
            return record_of(self._path, self._total, Status.COUNTED)
        record = failed(self._path, error)
        if not self._total.size:
            return record
        return record_of(self._path, self._total, Status.PARTIAL, record.reason, error)


def follow(follower: Follower, show: Show, *, pause: float = 0.5) -> Counts:
    """Count again and again until the user interrupts.

    Parameters
    ----------
    follower : Follower
        What counts.
    show : callable
        Is called with the counts and the lines per second since the last time.
    pause : float
        Seconds between two looks at the files.

    Returns
    -------
    Counts
        The last ones.
    """
    counts, began = follower.update(), time.monotonic()
    rate = 0.0
    try:
        while True:
            show(counts, rate)
            time.sleep(pause)
            # The new counts are kept only as a whole, whenever the interrupt strikes.
            before, counts = counts, follower.update()
            now = time.monotonic()
            rate = (counts - before) / max(1e-9, now - began)
            began = now
    except KeyboardInterrupt:
        return counts
