"""Sums over a stretch of a file, and how neighbouring stretches add up."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """What was seen between two offsets of a file.

    Attributes
    ----------
    newlines : int
        Line ends.
    size : int
        Bytes.
    open_end : bool
        Whether the stretch ends in a line without its newline.
    words, chars, blank : int
        Words, characters, lines without a word.
    longest : int
        Characters of the longest line.
    ends : int
        Newlines outside of quotes, if the stretch begins outside of quotes.
    odd : bool
        Whether the stretch holds an odd number of quotes: the next one then begins inside.
    matches : int
        Lines that match.
    groups : dict
        Lines by what they were grouped by.
    """

    newlines: int = 0
    size: int = 0
    open_end: bool = False
    words: int = 0
    chars: int = 0
    blank: int = 0
    longest: int = 0
    ends: int = 0
    odd: bool = False
    matches: int = 0
    groups: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Lines, the last one counted also without a newline."""
        return self.newlines + self.open_end

    @property
    def records(self) -> int:
        """CSV records; one whose quotes are never closed is one up to the end."""
        return self.ends + (self.open_end or self.odd)

    def join(self, after: Tally) -> None:
        """Add the stretch that follows this one."""
        if not after.size:
            return
        self.ends += after.newlines - after.ends if self.odd else after.ends
        self.odd ^= after.odd
        self.newlines += after.newlines
        self.size += after.size
        self.open_end = after.open_end
        self.words += after.words
        self.chars += after.chars
        self.blank += after.blank
        self.longest = max(self.longest, after.longest)
        self.matches += after.matches
        for key, number in after.groups.items():
            self.groups[key] = self.groups.get(key, 0) + number
