"""Segments for several contents, made by as many threads as there are processors.

To write into one file threads take turns, to write into several they don't: the columns of a frame,
64 MB in all, take 15 ms instead of 26 with two processors.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from mpmagic.pool.cpus import cpu_count
from mpmagic.pool.segment import Segment

__all__ = ["new_segments"]

_WORTH_A_THREAD = 1 << 22  # bytes; a thread costs a tenth of a millisecond
_MOST_THREADS = 8


def new_segments(contents: Mapping[bytes, list[memoryview]]) -> list[Segment]:
    """Make a segment for each content.

    Parameters
    ----------
    contents : mapping of bytes to list of memoryview
        What goes into each, by its key.

    Returns
    -------
    list of Segment
        In any order; without those for which there is no memory, or no descriptor.
    """
    sizes = {key: sum(view.nbytes for view in views) for key, views in contents.items()}
    threads = min(cpu_count(), _MOST_THREADS, sum(s >= _WORTH_A_THREAD for s in sizes.values()))
    share = sum(sizes.values()) / max(threads, 1)
    made: list[Segment] = []
    # What is more than a thread's share is filled by all of them, one such after the other.
    for key in [key for key, size in sizes.items() if threads < 2 or size > share]:
        _make(key, contents[key], made, helped=True)
        del sizes[key]
    largest_first = iter(sorted(sizes, key=sizes.__getitem__, reverse=True))
    if sizes:
        _make_side_by_side(contents, largest_first, made, threads=threads)
    return made


def _make_side_by_side(
    contents: Mapping[bytes, list[memoryview]],
    keys: Iterator[bytes],
    made: list[Segment],
    *,
    threads: int,
) -> None:
    def work() -> None:
        for key in keys:  # each is taken by one thread
            _make(key, contents[key], made)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()


def _make(
    key: bytes, views: list[memoryview], made: list[Segment], *, helped: bool = False
) -> None:
    try:
        made.append(Segment(key, views, helped=helped))
    except OSError:  # out of descriptors or of memory for it
        return
