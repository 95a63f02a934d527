"""A cell line by line: where each line runs, and why. What it looks like is `show`'s."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Explanation", "Line"]

_WIDTH = 7


class Line(NamedTuple):
    """A line of the cell.

    Attributes
    ----------
    number
        Its number in the cell, from 1 on.
    text
        The line as it stands in the notebook.
    mark
        Where it runs: ``kernel``, ``work``, ``prepare`` or ``commit``; empty where nothing runs.
    reason
        Why there, in words with code between backticks; empty where it goes without saying.
    """

    number: int
    text: str
    mark: str
    reason: str


class Explanation(NamedTuple):
    """What becomes of a cell; its text is what a terminal shows without colours.

    Attributes
    ----------
    before
        What is said above the listing: of a refused cell, why it is refused and the way out.
    lines
        The listing.
    after
        What is said below: what would let more of it run in the workers, or what to do next.
    """

    before: str
    lines: tuple[Line, ...]
    after: str

    def __str__(self) -> str:
        return "\n\n".join(part for part in (self.before, self.listing, self.after) if part)

    @property
    def listing(self) -> str:
        """The lines in columns."""
        return "\n".join(self._rows())

    def _rows(self) -> Iterator[str]:
        width = max(len(line.text) for line in self.lines) + 2
        for line in self.lines:
            reason = f"# {line.reason}" if line.reason else ""
            row = f"{line.mark:<{_WIDTH}} {line.number:>3} {line.text:<{width}}{reason}"
            yield row.rstrip()
