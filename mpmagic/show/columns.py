"""Columns of text under a head: words to the left and numbers to the right, as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Columns"]


class Columns(NamedTuple):
    """What a table is headed by.

    Attributes
    ----------
    head
        The names of the columns.
    words
        Those that hold words; the others hold numbers.
    """

    head: tuple[str, ...]
    words: frozenset[str]

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """The head and the rows, a line each."""
        table = [self.head, *rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.head))]
        return [
            "  ".join(
                cell.ljust(width) if name in self.words else cell.rjust(width)
                for name, cell, width in zip(self.head, row, widths, strict=True)
            ).rstrip()
            for row in table
        ]

    def html_head(self) -> str:
        """The head as a row."""
        return self.html_row(self.head, tag="th")

    def html_row(self, cells: Sequence[str], *, tag: str = "td", css: str = "") -> str:
        """A row of HTML, of a class if need be."""
        inside = "".join(
            f"<{tag}>{escape(cell)}</{tag}>"
            if name in self.words
            else f'<{tag} class="num">{escape(cell)}</{tag}>'
            for name, cell in zip(self.head, cells, strict=True)
        )
        return f'<tr class="{css}">{inside}</tr>' if css else f"<tr>{inside}</tr>"
