"""Copying large buffers into files in memory, with as many threads as there are files.

A file's writes take turns, though most of their time goes into making its pages: two threads that
write into one file take as long as one does. Into two files of their own they take half of that,
100 ms instead of 190 for 512 MB. So a large segment is made of several files, its stripes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from mpmagic.pool.sharing import processors, share

__all__ = ["Open", "Placed", "fill", "stripe_of"]

_LARGEST_WRITE = 1 << 30  # Linux writes 2 GiB less a page at most
_SMALLEST_STRIPE = 1 << 25
_MOST_STRIPES = 8
_UNIT = 1 << 21  # any page's size divides it

Placed = tuple[int, memoryview]
"""A buffer, bytes, behind where in the segment it belongs."""


class Open(Protocol):
    """A file that is open as long as somebody refers to this."""

    @property
    def fd(self) -> int: ...


def stripe_of(size: int, *, helped: bool) -> int:
    """How many bytes of a segment go into each of its files; the last one has what is left.

    Parameters
    ----------
    size : int
        Of the segment, in bytes.
    helped : bool
        Whether other processors may take a share of filling it.
    """
    files = min(_processors(), _MOST_STRIPES, size // _SMALLEST_STRIPE) if helped else 1
    if files < 2:
        return max(size, 1)
    return -(-size // (files * _UNIT)) * _UNIT


def fill(files: Sequence[Open], stripe: int, placed: Sequence[Placed]) -> None:
    """Copy buffers into a segment's files.

    Parameters
    ----------
    files : sequence of Open
        The files, each large enough.
    stripe : int
        Bytes of the segment in each of them but the last.
    placed : sequence of Placed
        The buffers.

    Raises
    ------
    OSError
        If there is no memory for it.
    """
    errors: list[OSError] = []
    left = iter(range(len(files)))

    def work() -> None:
        # It holds the files, not their descriptors: an interrupt may leave it behind, and a
        # descriptor that is closed meanwhile may become another file's.
        for number in left:
            try:
                _fill_one(files[number], number * stripe, stripe, placed)
            except OSError as error:
                errors.append(error)

    share(work, helpers=len(files) - 1)
    if errors:
        raise errors[0]


def _fill_one(file: Open, start: int, stripe: int, placed: Sequence[Placed]) -> None:
    for offset, buffer in placed:
        first = max(start, offset)
        end = min(start + stripe, offset + len(buffer))
        if first < end:
            _write(file.fd, buffer[first - offset : end - offset], first - start)


def _write(fd: int, buffer: memoryview, offset: int) -> None:
    # Not a store into a mapping, which takes a fault for each page, and ends the process where
    # there is no memory for one.
    done = 0
    while done < len(buffer):
        done += os.pwrite(fd, buffer[done : done + _LARGEST_WRITE], offset + done)


def _processors() -> int:
    # Files that aren't in memory are on one disk.
    return processors() if hasattr(os, "memfd_create") else 1
