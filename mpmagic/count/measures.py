"""The columns besides lines: words, characters, longest and blank lines, CSV records.

Each is a few vectorised passes over a block of whole lines; numpy releases the GIL in all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mpmagic.count.query import Query
from mpmagic.count.tally import Tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Bits = NDArray[np.bool_]

__all__ = ["measure"]

_NEWLINE, _RETURN, _BLANK, _TAB, _QUOTE = 10, 13, 32, 9, 34


def measure(block: memoryview, query: Query) -> Tally:
    """Sum up a block of whole lines."""
    import numpy as np

    data = np.frombuffer(block, np.uint8)
    newline = data == _NEWLINE
    tally = Tally(int(np.count_nonzero(newline)), len(block), bool(data[-1] != _NEWLINE))
    for column in query.columns:
        if column in _MEASURES:
            _MEASURES[column](data, newline, tally)
    return tally


def _words(data: Bytes, newline: Bits, tally: Tally) -> None:
    import numpy as np

    space = _space(data)
    # A word begins where a space ends; the block itself begins with a line.
    tally.words = int(np.count_nonzero(space[:-1] > space[1:])) + (not space[0])


def _chars(data: Bytes, newline: Bits, tally: Tally) -> None:
    import numpy as np

    tally.chars = len(data) - int(np.count_nonzero(_continued(data)))


def _blank(data: Bytes, newline: Bits, tally: Tally) -> None:
    import numpy as np

    blank = np.logical_and.reduceat(_space(data), _starts(newline))
    tally.blank = int(np.count_nonzero(blank))


def _longest(data: Bytes, newline: Bits, tally: Tally) -> None:
    import numpy as np

    starts = _starts(newline)
    lengths = np.diff(starts, append=len(data))
    if (continued := _continued(data)).any():
        lengths = lengths - np.add.reduceat(continued, starts, dtype=np.intp)
    ends = np.append(starts[1:], len(data)) - 1
    ended = newline[ends]
    lengths = lengths - ended
    before = data[np.maximum(ends - 1, 0)] == _RETURN
    lengths = lengths - (ended & before & (ends > starts))
    tally.longest = int(lengths.max())


def _records(data: Bytes, newline: Bits, tally: Tally) -> None:
    import numpy as np

    quotes = np.flatnonzero(data == _QUOTE)
    tally.odd = bool(len(quotes) % 2)
    if len(quotes):
        inside = np.searchsorted(quotes, np.flatnonzero(newline)) & 1
        tally.ends = tally.newlines - int(np.count_nonzero(inside))
    else:
        tally.ends = tally.newlines


_MEASURES: dict[str, Callable[[Bytes, Bits, Tally], None]] = {
    "words": _words,
    "chars": _chars,
    "blank": _blank,
    "longest": _longest,
    "records": _records,
}


def _space(data: Bytes) -> Bits:
    """What separates words: blank, tab, newline, vertical tab, form feed, carriage return."""
    import numpy as np

    # Unsigned, so what is below the tab wraps round to large values. In place: pages for another
    # array would cost more than the comparison.
    shifted = np.subtract(data, _TAB)
    space = np.less_equal(shifted, _RETURN - _TAB, out=shifted.view(np.bool_))
    return np.logical_or(space, np.equal(data, _BLANK), out=space)


def _continued(data: Bytes) -> Bits:
    """The bytes of UTF-8 that go on with a character instead of beginning one."""
    import numpy as np

    return data.view(np.int8) < -64


def _starts(newline: Bits) -> NDArray[np.intp]:
    import numpy as np

    return np.append(0, np.flatnonzero(newline[:-1]) + 1)
