"""A unit of work that travels to another process, and what is done with it there."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from mpmagic.count.counter import new_counter
from mpmagic.count.places import Place
from mpmagic.count.query import Query
from mpmagic.count.record import FileCount
from mpmagic.count.regular import open_regular
from mpmagic.count.scan import Span, SpanReader, Watch
from mpmagic.count.tally import Tally
from mpmagic.count.wholefile import Setting, count_whole
from mpmagic.count.wholelines import aligned

__all__ = ["Errand", "Stretch", "run"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of a file that is open elsewhere.

    Attributes
    ----------
    path : str
        The file.
    identity : tuple of two int
        Its device and inode: under the same name there may be another one by now.
    size : int
        Its size when the count began.
    span : tuple of two int
        The offsets.
    """

    path: str
    identity: tuple[int, int]
    size: int
    span: Span


@dataclass(frozen=True, slots=True)
class Errand:
    """Whole files or one stretch, and what is to be counted there."""

    query: Query
    places: tuple[Place, ...] = ()
    stretch: Stretch | None = None


def run(errand: Errand) -> Tally | list[FileCount]:
    """Count a stretch, or some whole files.

    Raises
    ------
    OSError
        If the file of a stretch can't be read, or has been replaced by another one.
    """
    if errand.stretch is not None:
        return _count_stretch(errand.stretch, errand.query)
    largest = max((place.size for place in errand.places), default=0)
    setting = Setting(new_counter(errand.query, largest), Watch(), errand.query.raw)
    return [count_whole(place, setting, Tally()) for place in errand.places]


def _count_stretch(stretch: Stretch, query: Query) -> Tally:
    descriptor = open_regular(os.path.abspath(stretch.path))  # noqa: PTH100
    try:
        seen = os.fstat(descriptor)
        if (seen.st_dev, seen.st_ino) != stretch.identity:
            raise OSError(errno.ESTALE, "replaced by another file while counted", stretch.path)
        cut = aligned(descriptor, stretch.span, stretch.size) if query.aligned else stretch.span
        reader, tally = SpanReader(descriptor, cut, Watch()), Tally()
        new_counter(query, stretch.size).count(reader, tally)
        tally.size = reader.offset - cut[0]
        return tally
    finally:
        os.close(descriptor)
