"""The key of what buffers hold: equal keys, equal bytes.

One processor reads 10 GB/s so, which is half of what the memory gives: a second one takes a share
of large buffers. Workers have none to spare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from mpmagic.pool.sharing import processors, share

__all__ = ["content_key"]

_BLOCK = 1 << 22
_WORTH_HELP = 1 << 24  # 2 ms of one processor
_MOST_HELPERS = 3  # more wait for the memory


def content_key(views: Sequence[memoryview], *, helped: bool = False) -> bytes:
    """Give the key of some buffers.

    Parameters
    ----------
    views : sequence of memoryview
        Bytes, each in one piece. The same bytes cut elsewhere are other buffers.
    helped : bool
        Whether other processors may take a share of it.

    Returns
    -------
    bytes
        A digest, 16 bytes (XXH3, https://xxhash.com).
    """
    import xxhash

    state, blocks = xxhash.xxh3_128(), list[memoryview]()
    state.update(len(views).to_bytes(8, "little"))
    for view in views:
        state.update(view.nbytes.to_bytes(8, "little"))
        if view.nbytes < _BLOCK:
            state.update(view)
        else:
            blocks += (view[i : i + _BLOCK] for i in range(0, view.nbytes, _BLOCK))
    large = sum(block.nbytes for block in blocks)
    helpers = _helpers() if helped and large >= _WORTH_HELP else 0
    for digest in _digests(blocks, helpers=helpers):
        state.update(digest)
    return state.digest()


def _digests(blocks: list[memoryview], *, helpers: int) -> list[bytes]:
    """Those of blocks, in order."""
    found = [b""] * len(blocks)
    share(partial(_read, iter(enumerate(blocks)), found), helpers=helpers)
    return found


def _read(left: Iterator[tuple[int, memoryview]], found: list[bytes]) -> None:
    import xxhash

    for number, block in left:
        found[number] = xxhash.xxh3_128_digest(block)  # it lets other threads run meanwhile


def _helpers() -> int:
    return min(processors() - 1, _MOST_HELPERS)
