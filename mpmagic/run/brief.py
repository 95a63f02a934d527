"""Cells whose work was too short for workers: run again on the same values, they run as they are.

To plan a cell and to send its work takes milliseconds. Where the work of all loops took less than
half of one, and everything that the cell reads is what it was then, the serial cell is there first;
and what that leaves needs no proof.
"""

from __future__ import annotations

import ast
from collections import OrderedDict
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from mpmagic.cell.syntax import walk
from mpmagic.run.capture import capture
from mpmagic.run.options import RunReport
from mpmagic.run.packed import digest

__all__ = ["BriefCells", "Look"]

_SECONDS: Final = 0.5e-3
_LONG: Final = 10e-3
"""Seconds from which on a cell isn't what it was."""

_LARGEST: Final = 1 << 16
"""Bytes of what the cell reads: to pack more takes longer than to plan."""

_CELLS: Final = 64
_LOOKS: Final = 3
"""Times that the values of a cell may be others before nobody looks any more."""


@dataclass(slots=True)
class _Known:
    """A cell whose work was short when it ran last.

    Attributes
    ----------
    seconds
        What it took.
    read
        The digest of what it read then; empty if that isn't known.
    left
        How often it may read something else.
    is_told
        Whether the user has been told that it runs as it is.
    """

    seconds: float
    read: bytes = b""
    left: int = _LOOKS
    is_told: bool = False


Key = tuple[str, int]
"""The text of a cell; of an expression in a line magic also that line."""


class BriefCells:
    """Remembers such cells."""

    def __init__(self) -> None:
        self._cells: OrderedDict[Key, _Known] = OrderedDict()

    def look(self, key: Key, tree: ast.Module, namespace: dict[str, Any]) -> Look:
        """Look at a cell that is to run.

        Parameters
        ----------
        key, tree
            The cell.
        namespace
            The notebook's.
        """
        known = self._cells.get(key)
        read = b"" if known is None or not known.left else _read_by(tree, namespace)
        return Look(self, key, known, read)

    def remember(self, key: Key, known: _Known) -> None:
        """Remember a cell."""
        self._cells[key] = known
        self._cells.move_to_end(key)
        if len(self._cells) > _CELLS:
            self._cells.popitem(last=False)

    def forget(self, key: Key) -> None:
        """Forget one, which takes longer now."""
        self._cells.pop(key, None)


class Look:
    """What was seen of a cell before it runs.

    Parameters
    ----------
    cells
        Those that are remembered.
    key
        The cell.
    known
        What is known of it; None for nothing.
    read
        The digest of what it reads.

    Attributes
    ----------
    reason
        Why it needn't be planned, for the user; empty if it has to be.
    is_news
        Whether the user hasn't been told yet.
    """

    def __init__(self, cells: BriefCells, key: Key, known: _Known | None, read: bytes) -> None:
        self._cells, self._key = cells, key
        self._known, self._read = known, read
        self._began = perf_counter()
        self.reason, self.is_news = "", True
        if known is not None and read and read == known.read:
            self.is_news, known.is_told = not known.is_told, True
            self.reason = (
                f"its work took {known.seconds * 1e3:.2g} ms the last time, which is too short for "
                f"workers, and what it reads is the same"
            )

    def ended(self, report: RunReport) -> None:
        """Take into account what became of it, if it came to its end."""
        if self.reason:
            if perf_counter() - self._began > _LONG:
                self._cells.forget(self._key)
        elif _was_brief(report):
            work = sum(loop.work for loop in report.loops)
            self._cells.remember(self._key, _Known(work, self._read, self._left()))
        else:
            self._cells.forget(self._key)

    def _left(self) -> int:
        """How often it may read something else from now on."""
        if self._known is None:
            return _LOOKS
        if not self._read:  # nobody has looked, or it can't be told
            return 0
        return self._known.left - (self._known.read not in (b"", self._read))


def _was_brief(report: RunReport) -> bool:
    """Whether all that there was to send were loops, and their work was short."""
    others = report.calls or report.stayed or report.kept or report.serial or report.failures
    if others or not report.loops or report.told_of_resuming:
        return False
    whole = all(loop.total is not None and loop.done == loop.total for loop in report.loops)
    return whole and sum(loop.work for loop in report.loops) < _SECONDS


def _read_by(tree: ast.Module, namespace: dict[str, Any]) -> bytes:
    """A digest of all that a cell may read of the notebook; empty if it can't be told."""
    names = {n.id for n in walk(tree) if isinstance(n, ast.Name) and n.id in namespace}
    try:
        packed = capture(names, namespace).packed
    except Exception:  # whatever the values' own pickling raises: then it is planned
        return b""
    return digest(packed) if packed.nbytes <= _LARGEST else b""
