"""Lines by time: the timestamps of common log formats, and the intervals that they fall into."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from mpmagic.count.matching import Grouper
from mpmagic.count.patterns import Pattern
from mpmagic.count.query import Query
from mpmagic.count.tally import Tally

__all__ = ["NO_YEAR", "Clock", "interval_of"]

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SAMPLE, _GLANCE = 100, 4
_REMEMBERED = 10_000
# Syslog names no year: any leap year will do to order days within one.
NO_YEAR = 1904


def interval_of(text: str) -> int:
    """Read an interval: ``10s``, ``5m``, ``1h``, ``1d``, ``1w``.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = re.fullmatch(r"(\d*)\s*([a-z]+)", text.strip())
    if not found or found[2] not in _UNITS or found[1] in ("0", "00"):
        raise ValueError(f"not an interval: {text!r}; write 30s, 5m, 1h, 1d or 1w")
    return int(found[1] or 1) * _UNITS[found[2]]


@dataclass(frozen=True, slots=True)
class _Stamp:
    """How a log format writes the time: its first group is what `read` understands."""

    pattern: str
    read: Callable[[str], datetime]


class Clock:
    """Counts lines by the interval in which their timestamp lies.

    Which format a block has is seen from its first lines, unless the last one's still does. The
    times are as written in the log: no time zone is applied.

    Parameters
    ----------
    query : Query
        Has `interval`; with `match` too, only the lines that match are counted.
    """

    def __init__(self, query: Query) -> None:
        self._only_matches = bool(query.match)
        self._interval = timedelta(seconds=query.interval)
        # Seconds that don't count aren't captured: that leaves fewer times to be read.
        self._stamps = _stamps(seconds=query.interval % 60 != 0)
        self._searches = [re.compile(stamp.pattern.encode()).search for stamp in self._stamps]
        self._groupers = [
            Grouper(replace(query, by=Pattern(stamp.pattern))) for stamp in self._stamps
        ]
        self._format = 0
        self._starts: dict[tuple[int, str], str] = {}

    def count(self, block: memoryview) -> Counter[str]:
        """Count the lines of a block by the beginning of their interval, in ISO 8601.

        Lines whose timestamp is none after all are under the empty string.
        """
        sample = bytes(block[: _SAMPLE * 256]).split(b"\n", _SAMPLE)[:_SAMPLE]
        if sum(1 for line in sample[:_GLANCE] if self._searches[self._format](line)) < _GLANCE:
            self._format = self._recognise(sample)
        buckets: Counter[str] = Counter()
        for text, number in self._groupers[self._format].count(block).items():
            buckets[self._bucket(self._format, text)] += number
        return buckets

    def _recognise(self, lines: list[bytes]) -> int:
        hits = [sum(1 for line in lines if search(line)) for search in self._searches]
        return hits.index(max(hits))

    def _bucket(self, at: int, text: str) -> str:
        if (at, text) not in self._starts:
            if len(self._starts) > _REMEMBERED:
                self._starts.clear()
            self._starts[at, text] = self._start(self._stamps[at].read, text)
        return self._starts[at, text]

    def _start(self, read: Callable[[str], datetime], text: str) -> str:
        try:
            time = read(text)
        except ValueError:  # digits in the shape of a time, as 99:99:99
            return ""
        origin = datetime(1970, 1, 5) if self._interval.days >= 7 else datetime(1970, 1, 1)
        return (time - (time - origin) % self._interval).isoformat(" ")

    def unstamped(self, part: Tally) -> int:
        """How many of the lines of a block that count had no timestamp."""
        counted = part.matches if self._only_matches else part.lines
        return counted - sum(part.groups.values())


def _read_iso(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("/", "-"))


def _read_apache(text: str) -> datetime:
    day, month, rest = text.split("/")
    year, _, time = rest.partition(":")
    return datetime.fromisoformat(f"{year}-{_month(month):02}-{day} {time}")


def _read_syslog(text: str) -> datetime:
    month, day, time = text.split()
    return datetime.fromisoformat(f"{NO_YEAR}-{_month(month):02}-{int(day):02} {time}")


def _read_epoch(text: str) -> datetime:
    return datetime.fromtimestamp(int(text[:10]), UTC).replace(tzinfo=None)


def _month(name: str) -> int:
    return _MONTHS.index(name) + 1


_MONTH = "(?:" + "|".join(_MONTHS) + ")"


def _stamps(*, seconds: bool) -> tuple[_Stamp, ...]:
    time = "[0-9]{2}:[0-9]{2}:[0-9]{2})" if seconds else "[0-9]{2}:[0-9]{2}):[0-9]{2}"
    return (
        _Stamp(rf"\b([0-9]{{4}}[-/][0-9]{{2}}[-/][0-9]{{2}}[T ]{time}", _read_iso),
        _Stamp(rf"\[([0-9]{{2}}/{_MONTH}/[0-9]{{4}}:{time}", _read_apache),
        _Stamp(rf"\b({_MONTH} [ 0-9][0-9] {time}", _read_syslog),
        _Stamp(r"\b(1[0-9]{9}(?:[0-9]{3})?)\b", _read_epoch),
    )
