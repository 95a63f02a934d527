"""The key of what buffers hold: equal keys, equal bytes.

One processor reads 10 GB/s so, which is half of what the memory gives: a second one takes a share
of large buffers. Workers have none to spare.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import cache

from mpmagic.pool.cpus import cpu_count

__all__ = ["content_key"]

_BLOCK = 1 << 24
_LARGE = 1 << 26
_MOST_HELPERS = 3  # more wait for the memory


def content_key(views: Iterable[memoryview], *, helped: bool = False) -> bytes:
    """Give the key of some buffers.

    Parameters
    ----------
    views : iterable of memoryview
        Bytes, each in one piece. The same bytes cut elsewhere are other buffers.
    helped : bool
        Whether other processors may take a share of it.

    Returns
    -------
    bytes
        A digest, 16 bytes (XXH3, https://xxhash.com).
    """
    import xxhash

    state = xxhash.xxh3_128()
    for view in views:
        state.update(view.nbytes.to_bytes(8, "little"))
        if view.nbytes < _LARGE:
            state.update(view)
        else:
            for part in _digests(view, helpers=_helpers() if helped else 0):
                state.update(part)
    return state.digest()


def _digests(view: memoryview, *, helpers: int) -> list[bytes]:
    """Those of a large buffer's blocks, in order."""
    starts = range(0, view.nbytes, _BLOCK)
    found = [b""] * len(starts)
    blocks = iter(enumerate(starts))  # each is taken by one thread
    threads = [
        threading.Thread(target=_read, args=(view, blocks, found), daemon=True)
        for _ in range(helpers)
    ]
    for thread in threads:
        thread.start()
    _read(view, blocks, found)
    for thread in threads:
        thread.join()
    return found


def _read(view: memoryview, blocks: Iterator[tuple[int, int]], found: list[bytes]) -> None:
    import xxhash

    for number, start in blocks:
        # It lets other threads run meanwhile.
        found[number] = xxhash.xxh3_128_digest(view[start : start + _BLOCK])


@cache
def _helpers() -> int:
    return min(cpu_count() - 1, _MOST_HELPERS)
