"""The two places where a bar can be: a display of a notebook's, and a terminal's last line."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Sequence
from html import escape
from typing import Any, Final, TextIO

from mpmagic.show.row import Row
from mpmagic.show.style import CLASS, wrapped

__all__ = ["TRACK_RULES", "Bars", "NotebookBars", "Picture", "TerminalBar", "bars_for", "track"]


class Bars:
    """No place at all; the others derive from it.

    Attributes
    ----------
    in_the_way
        Whether what the cell writes would land in them.
    """

    in_the_way: bool = False

    def show(self, rows: Sequence[Row]) -> None:
        """Show how far the cell's loops have come."""

    def hide(self) -> None:
        """Make room for what the cell writes."""

    def become(self, last: object | None) -> bool:
        """Leave nothing but `last` in place of the bars; whether that shows it."""
        return False


class Picture:
    """What the bars look like at one moment.

    Parameters
    ----------
    rows
        The loops, in the order in which they were reached.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __repr__(self) -> str:
        return "\n".join(f"%%parallel: {row}" for row in self._rows)

    def _repr_html_(self) -> str:
        return wrapped("".join(map(_row_html, self._rows)), rules=TRACK_RULES)


class NotebookBars(Bars):
    """One display, updated in place: it needs no widgets, and a notebook keeps its last state.

    Parameters
    ----------
    shell
        The kernel's shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._handle: Any = None

    def show(self, rows: Sequence[Row]) -> None:
        self._display(Picture(list(rows)))

    def become(self, last: object | None) -> bool:
        if self._handle is None or last is None:
            return False
        self._display(last)
        return True

    def _display(self, what: object) -> None:
        from IPython.core.displaypub import CapturingDisplayPublisher
        from IPython.display import display

        if isinstance(self._shell.display_pub, CapturingDisplayPublisher):
            return  # `%%capture` would keep every state of it
        if self._handle is None:
            self._handle = display(what, display_id=True)
        else:
            self._handle.update(what)


class TerminalBar(Bars):
    """tqdm's bar on the last line, for the loop that runs.

    It is drawn with tqdm's own words and not by a `tqdm` object, which would have a thread of its
    own, and would move aside for bars of the user's.

    Parameters
    ----------
    stream
        The terminal; by default `sys.stderr`.
    """

    in_the_way = True

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._width = 0

    def show(self, rows: Sequence[Row]) -> None:
        text = _meter(rows[-1], len(rows) > 1, self._stream)
        self._write(text.ljust(self._width))
        self._width = len(text)

    def hide(self) -> None:
        if self._width:
            self._write(" " * self._width + "\r")
            self._width = 0

    def become(self, last: object | None) -> bool:
        self.hide()
        return False

    def _write(self, text: str) -> None:
        # A terminal that is gone is no reason to lose a computation.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write("\r" + text)
            self._stream.flush()


def bars_for(shell: Any) -> Bars:
    """The place that a shell has for bars."""
    if hasattr(shell, "kernel"):
        return NotebookBars(shell)
    return TerminalBar() if sys.stderr.isatty() else Bars()


def _meter(row: Row, is_one_of_several: bool, stream: TextIO) -> str:
    from tqdm import tqdm

    text: str = tqdm.format_meter(
        n=row.done,
        total=row.begun.total,
        elapsed=row.seconds,
        ncols=shutil.get_terminal_size().columns - 1,
        prefix=row.label if is_one_of_several else "",
        ascii="utf" not in (stream.encoding or "").lower(),
        unit="it" if row.noun == "iteration" else row.noun,
        postfix=row.waits_for or (row.percent if row.begun.total is None else ""),
    )
    return text


def _row_html(row: Row) -> str:
    label = f'<span class="faint">{escape(row.label)}</span>'
    bar = "" if row.share is None or row.is_over else track(row.share)
    parts = "".join(f"<span>{escape(part)}</span>" for part in row.parts)
    return f'<div class="bar">{label}{bar}{parts}</div>'


def track(share: float) -> str:
    """The HTML of a bar; `TRACK_RULES` says what it looks like."""
    percent = f"{100 * share:.1f}"
    return (
        f'<span class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><span style="width:{percent}%"></span></span>'
    )


TRACK_RULES: Final = (
    f".{CLASS} .bar{{display:flex;align-items:center;gap:14px;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    f".{CLASS} .track{{flex:0 1 260px;min-width:90px;height:8px;border-radius:4px;overflow:hidden;"
    "background:var(--mp-line)}"
    f".{CLASS} .track span{{display:block;height:100%;border-radius:4px;background:var(--mp-work)}}"
)
