"""The iterations that ``--keep-going`` has passed over, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from mpmagic.run.options import FailedIteration
from mpmagic.show.columns import Columns
from mpmagic.show.style import wrapped

__all__ = ["FailedTable"]

_COLUMNS: Final = Columns(
    ("line", "iteration", "item", "tries", "error"), words=frozenset({"item", "error"})
)
_MOST: Final = 50
"""Rows that are shown; the exceptions themselves are all there."""

_WIDTH: Final = 100


class FailedTable:
    """What failed, and how.

    Parameters
    ----------
    failures
        The iterations, in order.
    """

    def __init__(self, failures: Sequence[FailedIteration]) -> None:
        self._rows = [_row(failure) for failure in failures[:_MOST]]
        self._left_out = len(failures) - len(self._rows)

    def __repr__(self) -> str:
        return "\n".join([*_COLUMNS.lines(self._rows), *self._rest()])

    def _repr_html_(self) -> str:
        rows = [_COLUMNS.html_head(), *map(_COLUMNS.html_row, self._rows)]
        rest = "".join(f'<div class="faint">{escape(text)}</div>' for text in self._rest())
        return wrapped(f"<table>{''.join(rows)}</table>{rest}")

    def _rest(self) -> list[str]:
        return [f"and {self._left_out:,} more"] if self._left_out else []


def _row(failure: FailedIteration) -> tuple[str, ...]:
    text = failure.error
    error = text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
    return str(failure.line), str(failure.number), failure.item, str(failure.tries), error
