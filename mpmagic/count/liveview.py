"""What `--follow` shows: counts that change in place."""

from __future__ import annotations

import sys
from typing import Any

from mpmagic.count.counts import Counts

__all__ = ["NotebookView", "TerminalView"]


class TerminalView:
    """The total and the rate on a terminal's last line."""

    def __call__(self, counts: Counts, rate: float) -> None:
        text = f"\r\x1b[K{counts:,d} lines  {rate:,.0f}/s  (Ctrl-C ends)"
        print(text, end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the line away."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class NotebookView:
    """The table and the rate as one display, updated in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, counts: Counts, rate: float) -> None:
        from IPython.display import HTML, display

        page = HTML(f"{counts._repr_html_()}<p>{rate:,.0f} lines/s</p>")
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def close(self) -> None:
        """Take the display away."""
        if self._handle is not None:
            from IPython.display import HTML

            self._handle.update(HTML(""))
