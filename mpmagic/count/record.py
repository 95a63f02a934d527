"""What is known of one file after a count, and of a count that was interrupted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpmagic.count.places import explain
from mpmagic.count.tally import Tally

if TYPE_CHECKING:
    from mpmagic.count.counts import Counts

__all__ = ["CountInterrupted", "FileCount", "Status", "failed", "record_of"]


class Status(enum.Enum):
    """How far the number of a file can be trusted."""

    COUNTED = "counted"
    CHANGED = "changed"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def complete(self) -> bool:
        """Whether the number is that of a whole file."""
        return self is Status.COUNTED or self is Status.CHANGED


@dataclass(frozen=True, slots=True)
class FileCount:
    """The count of one file.

    Attributes
    ----------
    path : str
        The file, as it was named.
    lines : int
        Lines as Python's iteration over the file gives them: a last line without newline
        counts.
    newlines : int
        Newline characters: what ``wc -l`` says.
    bytes : int
        Bytes that were counted, after decompression.
    status : Status
        Whether the numbers are those of the whole file.
    reason : str
        Why not, or what happened to the file meanwhile; empty if there is nothing to say.
    error : OSError or None
        The error that kept the file, or the rest of it, from being counted.
    words, chars, blank, longest, records, matches : int
        What was counted besides, if it was asked for.
    groups : mapping
        Lines by what they were grouped by, if they were.
    """

    path: str
    lines: int = 0
    newlines: int = 0
    bytes: int = 0
    status: Status = Status.COUNTED
    reason: str = ""
    error: OSError | None = field(default=None, compare=False)
    words: int = 0
    chars: int = 0
    blank: int = 0
    longest: int = 0
    records: int = 0
    matches: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)


def record_of(
    path: str, tally: Tally, status: Status, reason: str = "", error: OSError | None = None
) -> FileCount:
    """Make the record of a file of which something was counted."""
    return FileCount(
        path,
        lines=tally.lines,
        newlines=tally.newlines,
        bytes=tally.size,
        status=status,
        reason=reason,
        error=error,
        words=tally.words,
        chars=tally.chars,
        blank=tally.blank,
        longest=tally.longest,
        records=tally.records,
        matches=tally.matches,
        groups=tally.groups,
    )


def failed(path: str, error: OSError) -> FileCount:
    """Make the record of a file of which nothing was counted."""
    if error.filename is None and error.errno is not None:  # reading names no file, opening does
        error.filename = path
    return FileCount(path, status=Status.FAILED, reason=explain(error), error=error)


class CountInterrupted(KeyboardInterrupt):
    """A count was interrupted; `counts` holds what was counted until then."""

    def __init__(self, counts: Counts) -> None:
        super().__init__("interrupted while counting lines")
        self.counts = counts
