"""The files of one count, cut into units of work, and the records that come of them."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mpmagic.count.decoding import corruption, decoded
from mpmagic.count.errand import Errand, Stretch
from mpmagic.count.frames import Framed
from mpmagic.count.newlines import BLOCK
from mpmagic.count.openfile import OpenFile
from mpmagic.count.places import Place
from mpmagic.count.query import Query
from mpmagic.count.record import FileCount, Status, failed, record_of
from mpmagic.count.scan import Span, SpanReader
from mpmagic.count.tally import Tally
from mpmagic.count.wholefile import Setting, count_whole
from mpmagic.count.wholelines import aligned

__all__ = ["Agenda", "Unit"]

_MANY = 64
_SMALLEST_FRAMES = 1 << 20


@dataclass(frozen=True, slots=True)
class Unit:
    """What a thread takes at once: whole files, or a stretch of a large one."""

    places: tuple[Place, ...] = ()
    file: OpenFile | None = None
    span: Span = (0, 0)

    @property
    def size(self) -> int:
        """Bytes, as far as they are known."""
        return sum(place.size for place in self.places) + self.span[1] - self.span[0]


class Agenda:
    """Gives out units to any number of threads and collects the records.

    Files are opened when their first unit is given out and closed after their last one, so
    that a count of a million files holds a handful of descriptors.

    Parameters
    ----------
    places : sequence of Place
        The files.
    query : Query
        What is to be counted.
    piece : int
        Into stretches of how many bytes large files are cut.
    """

    def __init__(self, places: Sequence[Place], query: Query, piece: int) -> None:
        self.records: dict[str, FileCount] = {}
        self.query = query
        self._units = self._cut(places, piece)
        self._open: dict[str, OpenFile] = {}
        self._lock = threading.Lock()

    def take(self) -> Unit | None:
        """Take the next unit, or None if nothing is left."""
        with self._lock:  # a generator can't be resumed by two threads at once
            return next(self._units, None)

    def work(self, unit: Unit, setting: Setting) -> None:
        """Count one unit and note what came of it."""
        if unit.file is not None:
            stretch = self._frame if unit.file.frames else self._stretch
            stretch(unit.file, unit.span, setting)
            return
        for place in unit.places:
            if setting.watch.cancelled:
                return
            tally = Tally()
            try:
                self.records[place.path] = count_whole(place, setting, tally)
            except KeyboardInterrupt:
                reason = f"interrupted after {tally.size:,} bytes"
                self.records[place.path] = record_of(place.path, tally, Status.PARTIAL, reason)
                raise

    def errand(self, unit: Unit) -> Errand:
        """Give a unit the form in which it can travel to another process."""
        if unit.file is None:
            return Errand(self.query, places=unit.places)
        file = unit.file
        stretch = Stretch(file.place.path, file.identity, file.size, unit.span)
        return Errand(self.query, stretch=stretch)

    def note(self, unit: Unit, outcome: Tally | list[FileCount] | OSError) -> None:
        """Take what came of an errand."""
        if unit.file is None:
            if isinstance(outcome, OSError):
                outcome = [failed(place.path, outcome) for place in unit.places]
            assert isinstance(outcome, list)
            self.records.update({record.path: record for record in outcome})
            return
        failure = outcome if isinstance(outcome, OSError) else None
        tally = outcome if isinstance(outcome, Tally) else Tally()
        self._finish(unit.file, unit.span, tally, failure)

    def close(self) -> None:
        """Close the files that an interrupted count has left open."""
        for file in self._open.values():
            record = file.close()
            self.records[record.path] = record
        self._open.clear()

    def _stretch(self, file: OpenFile, span: Span, setting: Setting) -> None:
        tally, failure = Tally(), None
        try:
            cut = aligned(file.descriptor, span, file.size) if self.query.aligned else span
            reader = SpanReader(file.descriptor, cut, setting.watch)
            setting.counter.count(reader, tally)
            tally.size = reader.offset - cut[0]
        except OSError as error:
            failure = error
        self._finish(file, span, tally, failure)

    def _frame(self, file: OpenFile, span: Span, setting: Setting) -> None:
        tally, failure = Tally(), None
        source = SpanReader(file.descriptor, span, setting.watch)
        try:
            reader = decoded(Framed(source, file.frames[span]), file.format)
            setting.counter.count(reader, tally)
        except corruption() as error:
            failure = error if isinstance(error, OSError) else OSError(str(error))
        if setting.watch.cancelled and source.offset < span[1]:
            failure = OSError("stopped")  # whatever the end of the bytes meant to the decoder
        record = file.finish(span, tally, failure)
        if record is None:
            return
        if record.status is Status.PARTIAL and not setting.watch.cancelled:
            # From its beginning, which tells how far it is sound.
            record = count_whole(file.place, setting, Tally())
        self.records[record.path] = record
        self._open.pop(record.path, None)

    def _finish(self, file: OpenFile, span: Span, tally: Tally, failure: OSError | None) -> None:
        record = file.finish(span, tally, failure)
        if record is not None:
            self.records[record.path] = record
            self._open.pop(record.path, None)

    def _cut(self, places: Sequence[Place], piece: int) -> Iterator[Unit]:
        """Large files first: the small ones then fill the gap at the end, when one thread has
        nothing left and the other still counts."""
        small = []
        for place in places:
            if place.size >= BLOCK and stat.S_ISREG(place.mode):
                yield from self._cut_large(place, piece)
            else:
                small.append(place)
        # Few files may be costly ones (compressed): no thread takes all of them.
        many = max(1, min(_MANY, len(small) // 16))
        for start in range(0, len(small), many):
            yield Unit(tuple(small[start : start + many]))

    def _cut_large(self, place: Place, piece: int) -> Iterator[Unit]:
        try:
            file = OpenFile(place, piece, holes=not self.query.aligned)
        except OSError as error:
            self.records[place.path] = failed(place.path, error)
            return
        if not file.plain and not self.query.raw:
            if not self.query.aligned and place.size > 2 * _SMALLEST_FRAMES:
                file.cut_frames(_SMALLEST_FRAMES)
            if file.frames:
                self._open[place.path] = file
                yield from (Unit(file=file, span=span) for span in file.spans)
                return
            file.close()
            yield Unit((place,))
            return
        if not self.query.aligned and not self.query.fresh:
            file.use_memory()
        if not file.spans:
            self.records[place.path] = file.close()
            return
        self._open[place.path] = file
        for span in file.spans:
            yield Unit(file=file, span=span)
