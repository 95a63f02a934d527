"""Segments for several contents, made by as many threads as there are processors.

To write into one file threads take turns, to write into several they don't: the columns of a frame,
64 MB in all, take 15 ms instead of 26 with two processors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial

from mpmagic.pool.segment import Segment
from mpmagic.pool.sharing import processors, share

__all__ = ["new_segments"]

_WORTH_A_THREAD = 1 << 22  # bytes; a thread costs a tenth of a millisecond
_MOST_THREADS = 8


def new_segments(
    contents: Mapping[bytes, list[memoryview]], *, helped: bool = True
) -> list[Segment]:
    """Make a segment for each content.

    Parameters
    ----------
    contents : mapping of bytes to list of memoryview
        What goes into each, by its key.
    helped : bool
        Whether a large one may have several files, which other processors help to fill.

    Returns
    -------
    list of Segment
        In any order; without those for which there is no memory, or no descriptor.
    """
    sizes = {key: sum(view.nbytes for view in views) for key, views in contents.items()}
    threads = min(processors(), _MOST_THREADS, sum(s >= _WORTH_A_THREAD for s in sizes.values()))
    share_of_one = sum(sizes.values()) / max(threads, 1)
    made: list[Segment] = []

    def make(keys: Iterable[bytes], *, helped: bool) -> None:
        for key in keys:
            # Without it where there's no descriptor left, or no memory for it.
            with contextlib.suppress(OSError):
                made.append(Segment(key, contents[key], helped=helped))

    largest_first = sorted(sizes, key=sizes.__getitem__, reverse=True)
    # What is more than a thread's share is filled by all of them, one such after the other.
    large = sum(threads < 2 or sizes[key] > share_of_one for key in largest_first)
    make(largest_first[:large], helped=helped)
    if rest := largest_first[large:]:
        share(partial(make, iter(rest), helped=False), helpers=threads - 1)
    return made
