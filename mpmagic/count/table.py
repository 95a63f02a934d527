"""The table of a count, as text and as HTML that follows a notebook's colours."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from mpmagic.count.chart import html_bars, series, svg_histogram, text_bars
from mpmagic.count.progress import readable_size

if TYPE_CHECKING:
    from mpmagic.count.counts import Counts
    from mpmagic.count.record import FileCount

__all__ = ["as_html", "as_text"]

_ROWS = 40
# Numbers first, then the file and what there is to say of it.
_Row = list[str]


def as_text(counts: Counts) -> str:
    """Lay out the table in columns; each file's reason stands behind its name."""
    rows = [[*_head(counts), "file", ""], *_rows(counts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-2]
    table = "\n".join(_line(row, widths) for row in rows)
    bars = series(counts)
    if not bars:
        return table
    return "\n\n".join([table, text_bars(bars, ordered=counts.timed), *_untimed(counts)])


def as_html(counts: Counts) -> str:
    """Write the table as HTML.

    Colours come from JupyterLab's variables and else from the page; in a notebook that isn't
    trusted only the text survives, so nothing is said by colour alone.
    """
    head = _html_row([*_head(counts), "file", ""], "th")
    body = "".join(_html_row(row, "td") for row in _rows(counts))
    table = (
        "<table style='color: var(--jp-content-font-color1, currentColor)'>"
        f"<thead>{head}</thead><tbody>{body}</tbody></table>"
    )
    bars = series(counts)
    if not bars:
        return table
    if not counts.timed:
        return table + html_bars(bars)
    # The numbers as text too: a notebook that isn't trusted shows no picture.
    text = escape(text_bars(bars, ordered=True))
    details = f"<details><summary>numbers</summary><pre>{text}</pre></details>"
    return table + svg_histogram(bars) + "".join(_untimed(counts)) + details


def _untimed(counts: Counts) -> list[str]:
    missing = counts.groups.get("", 0) if counts.timed else 0
    return [f"{missing:,} lines without a timestamp"] if missing else []


def _line(row: _Row, widths: list[int]) -> str:
    *numbers, path, note = row
    cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths, strict=True)]
    return "  ".join([*cells, path]) + (f"  ({note})" if note else "")


def _html_row(row: _Row, tag: str) -> str:
    sides = ["right"] * (len(row) - 2) + ["left"] * 2
    cells = (
        f"<{tag} style='text-align:{side}'>{escape(text)}</{tag}>"
        for text, side in zip(row, sides, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _rows(counts: Counts) -> Iterator[_Row]:
    """Give the rows to show: of very many files the first ones and those with a reason."""
    records = list(counts.values())
    shown = [record for at, record in enumerate(records) if at < _ROWS or record.reason]
    shown = shown[: 2 * _ROWS]
    for record in shown:
        yield _row(record, counts)
    if hidden := len(records) - len(shown):
        blank = [""] * len(_head(counts))
        yield [*blank, f"… and {hidden:,} more files", ""]
    if len(records) != 1:
        note = "partial: not every file was counted to its end" if counts.partial else ""
        yield [*(_cell(name, counts.total(_field(name))) for name in _head(counts)), "total", note]


def _row(record: FileCount, counts: Counts) -> _Row:
    if record.error is not None and not record.bytes:
        return [*("-" for _ in _head(counts)), record.path, record.reason]
    cells = [_cell(name, getattr(record, _field(name))) for name in _head(counts)]
    partial = not record.status.complete and record.reason
    return [*cells, record.path, f"partial: {record.reason}" if partial else record.reason]


def _head(counts: Counts) -> list[str]:
    size = [] if "bytes" in counts.columns else ["size"]
    return ["lines", *counts.columns, *size]


def _field(name: str) -> str:
    return "bytes" if name == "size" else name


def _cell(name: str, value: int) -> str:
    return readable_size(value) if name == "size" else f"{value:,}"
