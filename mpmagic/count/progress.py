"""How far a count has come: nothing, a bar in a terminal, a line in a notebook."""

from __future__ import annotations

import time
from typing import Any, TextIO

__all__ = ["NotebookProgress", "Progress", "TerminalProgress", "readable_size"]


class Progress:
    """Shows nothing; what shows something derives from it.

    Parameters
    ----------
    total : int
        Bytes to count, 0 if nobody knows.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def show(self, done: int) -> None:
        """Show that `done` bytes have been counted."""

    def close(self) -> None:
        """Take away what was shown."""


class TerminalProgress(Progress):
    """A bar on a terminal's last line, gone when the count has ended."""

    def __init__(self, stream: TextIO | None = None, total: int = 0) -> None:
        super().__init__(total)
        self._stream = stream
        self._bar: Any = None

    def show(self, done: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total or None, unit="B", unit_scale=True, leave=False, file=self._stream
            )
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class NotebookProgress(Progress):
    """A bar that is one display, updated in place: no widgets needed, nothing on stderr."""

    def __init__(self, total: int = 0) -> None:
        super().__init__(total)
        self._handle: Any = None
        self._began = time.monotonic()

    def show(self, done: int) -> None:
        from IPython.display import HTML, display

        bar = HTML(self._html(done))
        if self._handle is None:
            self._handle = display(bar, display_id=True)
        else:
            self._handle.update(bar)

    def close(self) -> None:
        if self._handle is not None:
            from IPython.display import HTML

            self._handle.update(HTML(""))

    def _html(self, done: int) -> str:
        rate = readable_size(done / max(1e-9, time.monotonic() - self._began))
        text = f"{readable_size(done)} of {readable_size(self.total)} counted, {rate}/s"
        share = f'value="{done}" max="{max(self.total, done)}"' if self.total else ""
        style = "color: var(--jp-content-font-color1, currentColor)"
        return f'<div style="{style}"><progress {share}></progress> {text}</div>'


def readable_size(size: float) -> str:
    """Write a number of bytes as people do: 1.5 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
