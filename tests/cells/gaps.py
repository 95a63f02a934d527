"""Cells of the table on which mpmagic isn't yet what the table says: failures that are expected.

Each is tried in every run, and shows as XPASS when it starts to pass: then it goes off this list.
"""

from __future__ import annotations

from typing import Final

__all__ = ["EVERYWHERE", "NOT_ON_THREADS", "ON_POOL", "RACES", "reason_of"]

EVERYWHERE: Final[dict[str, tuple[str, ...]]] = {}

ON_POOL: Final[dict[str, tuple[str, ...]]] = {}

RACES: Final = ("soundness/8-one-file-rewritten-by-each-iteration",)
"""The order of effects outside Python: the promise leaves it open, chance decides."""


NOT_ON_THREADS: Final = (
    "figures/a-helper-that-closes-all-figures-while-none-is-open",
    "figures/a-helper-that-closes-all-figures-while-one-is-open",
    "figures/a-helper-that-makes-saves-and-closes-a-figure",
    "figures/drawing-that-an-exception-ends",
    "figures/figure-closed-in-finally",
    "figures/figure-in-a-with",
    "figures/figures-in-an-inner-loop",
    "figures/figures-of-their-own-with-axes-saved-and-closed",
    "guarded/warnings-of-passed-over-work",
    "guarded/warnings-of-work-that-a-continue-passes-over",
    "independent/figure-saved-per-item",
    "independent/frames-with-columns-dropped-in-place",
    "loopless/warnings-in-order",
    "managers/filters-forgotten-in-each-iteration-show-a-warning-each-time",
    "managers/filters-left-alone-show-a-warning-once",
    "output/display-in-a-comprehension",
    "output/display-in-a-function-that-the-source-hides",
    "output/shell-escape-for-its-lines",
    "process/filter-of-a-class-of-the-notebook",
    "process/filter-that-makes-an-exception-of-it",
    "process/option-that-a-library-sets-for-a-while",
    "process/parameters-for-a-while",
)
"""Cells that draw by pyplot, display, warn, set options or run commands: refused or stopped."""


def reason_of(case: str, *, pool: bool) -> str:
    """Why a cell is expected to fail; empty if it isn't."""
    for table in (EVERYWHERE, ON_POOL) if pool else (EVERYWHERE,):
        for reason, cases in table.items():
            if case in cases:
                return reason
    return ""
