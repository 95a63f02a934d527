"""Bars while a cell runs: after its first second, a few times a second, gone at its end."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Final

from mpmagic.run.observer import Begun, Committed, Observer, Standing
from mpmagic.show.bars import Bars
from mpmagic.show.row import Row

__all__ = ["Progress"]

_SILENT_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.2


class Progress(Observer):
    """Follows the loops of one cell.

    Parameters
    ----------
    bars
        Where they are shown.
    clock
        Gives the time.

    Attributes
    ----------
    rows
        The loops that were reached, by line.
    """

    pause = _PAUSE_SECONDS

    def __init__(self, bars: Bars, clock: Callable[[], float] = perf_counter) -> None:
        self._bars, self._clock = bars, clock
        self._since: float | None = None
        self._drawn = 0.0
        self._is_hidden = False
        self.rows: dict[int, Row] = {}

    def begun(self, what: Begun) -> None:
        self._since = what.at if self._since is None else self._since
        if what.has_bar:
            return
        row = self.rows.pop(what.line, None)
        if row is None:
            row = Row(what, what.at)
        else:
            row.begin_again(what)
        self.rows[what.line] = row  # at the end: it is the one that runs

    def tick(self, line: int, standing: Callable[[], Standing]) -> None:
        now, row = self._clock(), self.rows.get(line)
        if row is None or self._since is None or now - self._since < _SILENT_SECONDS:
            return
        if not self._is_due(now):
            return
        row.look(standing(), now)
        if self._drawn or row.done != row.begun.total:  # no bar appears to say that it is over
            self._draw(now)

    def committed(self, chunk: Committed) -> None:
        if chunk.line in self.rows:
            self.rows[chunk.line].committed += chunk.span.count

    def ended(self, line: int, at: float) -> None:
        self.make_way()
        row = self.rows.get(line)
        if row is None:
            return
        row.end(at)
        # A loop that ends often was short each time.
        if self._drawn and not self._bars.in_the_way and row.seconds >= _PAUSE_SECONDS:
            self._draw(at)

    def make_way(self) -> None:
        if self._drawn and self._bars.in_the_way and not self._is_hidden:
            self._bars.hide()
            self._is_hidden = True

    def _is_due(self, now: float) -> bool:
        # One that made way for the cell's own output comes back sooner, or it would flicker.
        pause = _PAUSE_SECONDS / 8 if self._is_hidden else _PAUSE_SECONDS
        return now - self._drawn >= pause

    def _draw(self, now: float) -> None:
        self._bars.show(list(self.rows.values()))
        self._drawn, self._is_hidden = now, False
