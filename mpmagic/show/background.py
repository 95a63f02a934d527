"""How far a cell in the background has come: a line with a bar, which goes on living."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from html import escape
from time import perf_counter
from typing import Any, Final
from weakref import ref

from mpmagic.background import BackgroundCell, BackgroundState
from mpmagic.show.bars import TRACK_RULES, track
from mpmagic.show.pooltable import LiveTable, publish_again
from mpmagic.show.quantities import counted, duration
from mpmagic.show.style import wrapped

__all__ = ["BackgroundLine", "follow"]

_PAUSE_SECONDS: Final = 0.3
_THREAD: Final = "mpmagic-background"
_UNSETTLED: Final = frozenset(
    {BackgroundState.WORKING, BackgroundState.READY, BackgroundState.COMMITTING}
)


@dataclass(frozen=True, slots=True)
class BackgroundLine:
    """A cell in the background at one moment.

    Attributes
    ----------
    name
        What the notebook calls it.
    state
        How far it has come.
    done, total
        Iterations whose work is done, and all.
    seconds
        Since it began.
    """

    name: str
    state: BackgroundState
    done: int
    total: int
    seconds: float

    @classmethod
    def of(cls, cell: BackgroundCell) -> BackgroundLine:
        """The cell as it is now."""
        done, total = cell.progress
        return cls(cell.name, cell.state, done, total, perf_counter() - cell.began)

    def __repr__(self) -> str:
        return f"{self.name}: {', '.join(self._parts())}"

    def _repr_html_(self) -> str:
        label, *parts = (f"<span>{escape(part)}</span>" for part in (self.name, *self._parts()))
        bar = track(self.done / self.total) if self.total and self._is_working else ""
        return wrapped(f'<div class="bar">{label}{bar}{"".join(parts)}</div>', rules=TRACK_RULES)

    @property
    def _is_working(self) -> bool:
        return self.state is BackgroundState.WORKING

    def _parts(self) -> list[str]:
        count = counted(self.total, "iteration")
        match self.state:
            case BackgroundState.WORKING:
                share = f"{self.done:,} of {count}"
                return [share, duration(self.seconds), self.state.value]
            case BackgroundState.READY:
                return [count, self.state.value, f"{self.name}.commit() does the rest of the cell"]
            case _:
                return [count, self.state.value]


def follow(cell: BackgroundCell, shown: BackgroundLine, ident: str, shell: Any) -> None:
    """Keep a line that is displayed up to date until the cell is settled, where that can be."""
    if not LiveTable.can_live(shell):
        return
    # It refers to no cell that nobody else does.
    what = ref(cell), shown, ident, shell.display_pub
    threading.Thread(target=_follow, args=what, name=_THREAD, daemon=True).start()


def _follow(cell: ref[BackgroundCell], shown: BackgroundLine, ident: str, publisher: Any) -> None:
    while shown.state in _UNSETTLED:
        time.sleep(_PAUSE_SECONDS)
        line = _line_of(cell())
        if line is None:
            return
        if repr(line) != repr(shown):  # what is ready shows no seconds
            publish_again(publisher, line, ident)
        shown = line


def _line_of(cell: BackgroundCell | None) -> BackgroundLine | None:
    return None if cell is None else BackgroundLine.of(cell)
