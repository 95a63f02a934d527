"""Counting a file from its beginning to its end in one go: small, compressed or made up."""

from __future__ import annotations

import os
from typing import NamedTuple

from mpmagic.count.counter import Counter
from mpmagic.count.formats import HEAD, Format, format_of
from mpmagic.count.newlines import Block, read_into
from mpmagic.count.places import Place
from mpmagic.count.record import FileCount, Status, failed, record_of
from mpmagic.count.regular import open_regular
from mpmagic.count.scan import SpanReader, Watch
from mpmagic.count.special import refusal
from mpmagic.count.tally import Tally

__all__ = ["Setting", "count_whole"]

_NEWLINE = 10
_ENDLESS = 1 << 62


class Setting(NamedTuple):
    """With what a thread counts."""

    counter: Counter
    watch: Watch
    raw: bool = False


def count_whole(place: Place, setting: Setting, tally: Tally) -> FileCount:
    """Count one file; `tally` holds what was counted if an interrupt strikes."""
    error = place.error or refusal(place)
    if error is None:
        try:
            descriptor = open_regular(place.path)
        except OSError as caught:
            error = caught
        else:
            try:
                return _opened(place, descriptor, setting, tally)
            except OSError as caught:
                error = caught
            finally:
                os.close(descriptor)
    return failed(place.path, error)


def _opened(place: Place, descriptor: int, setting: Setting, tally: Tally) -> FileCount:
    block = setting.counter.block
    if block is not None and (record := _at_once(place, descriptor, block, setting)) is not None:
        return record
    format_ = Format.PLAIN if setting.raw else format_of(os.pread(descriptor, HEAD, 0))
    if format_ is Format.PLAIN:
        return _plain(place, descriptor, setting, tally)
    return _decoded(place, SpanReader(descriptor, (0, _ENDLESS), setting.watch), setting, tally)


def _at_once(place: Place, descriptor: int, block: Block, setting: Setting) -> FileCount | None:
    """Count a file that fits into the block with a single read.

    What the first read doesn't finish is no ordinary small file: it has changed since it was
    looked at, or the kernel makes it up while it is read and says that its size is zero.
    """
    view = block.view
    filled = read_into(view, descriptor, 0)
    if filled != place.size or filled == len(view):
        return None
    if not filled:
        return FileCount(place.path)
    if not setting.raw and format_of(view[: min(HEAD, filled)]) is not Format.PLAIN:
        return None
    open_end = view[filled - 1] != _NEWLINE
    newlines = block.newlines(filled)
    setting.watch.advance(filled)
    return FileCount(place.path, newlines + open_end, newlines, filled)


def _plain(place: Place, descriptor: int, setting: Setting, tally: Tally) -> FileCount:
    # Without a size of its own (as in /proc) the end is where reading says so.
    size = os.fstat(descriptor).st_size
    reader = SpanReader(descriptor, (0, size or _ENDLESS), setting.watch)
    setting.counter.count(reader, tally)
    tally.size = reader.offset
    now = os.fstat(descriptor).st_size
    return record_of(place.path, tally, *_judge(place, reader.offset, now, setting.watch))


def _judge(place: Place, read: int, now: int, watch: Watch) -> tuple[Status, str]:
    if watch.cancelled and read < now:
        return Status.PARTIAL, f"stopped after {read:,} of {now:,} bytes"
    if now < place.size and read < place.size:
        return Status.PARTIAL, f"shrank from {place.size:,} to {now:,} bytes while counted"
    if now > max(place.size, read):
        return Status.CHANGED, f"grew while counted: the first {read:,} bytes"
    return Status.COUNTED, ""


def _decoded(place: Place, source: SpanReader, setting: Setting, tally: Tally) -> FileCount:
    from mpmagic.count.decoding import corruption, decoded

    format_ = format_of(source.read(HEAD))
    source.offset = 0
    reader = decoded(source, format_)  # an error here is a library that isn't installed
    status, reason, error = Status.COUNTED, "", None
    try:
        setting.counter.count(reader, tally)
    except corruption() as caught:
        status, reason = Status.PARTIAL, _damage(caught, format_, source.offset, place.size)
        error = OSError(reason)
        error.filename = place.path
    if setting.watch.cancelled and source.offset < place.size:
        reason, error = f"stopped after {source.offset:,} of {place.size:,} bytes", None
        status = Status.PARTIAL
    if format_.encoded:
        tally.size = source.offset
    return record_of(place.path, tally, status, reason, error)


def _damage(error: BaseException, format_: Format, offset: int, size: int) -> str:
    what = "cut off" if isinstance(error, EOFError) else "damaged"
    return f"{format_.value} data is {what}: read {offset:,} of {size:,} bytes ({error})"
