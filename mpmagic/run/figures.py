"""Figures of pyplot's that the work leaves open: the notebook would show them at the cell's end.

What the source shows to draw stays in the kernel. A library that makes a figure unseen is found
here, when it has happened.
"""

from __future__ import annotations

import sys
from typing import Any, Final

__all__ = ["LEFT_OPEN", "FigureWatch"]

LEFT_OPEN: Final = "left a figure of pyplot's open"


class FigureWatch:
    """Remembers which figures are open when it is made."""

    def __init__(self) -> None:
        self._before = set(_open_figures())

    def left_open(self) -> bool:
        """Whether there are others now; closes them, since the worker has no use for them."""
        figures = _open_figures()
        news = [number for number in figures if number not in self._before]
        for number in news:
            sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(number)
        return bool(news)


def _open_figures() -> Any:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    gcf = getattr(helpers, "Gcf", None)  # None while its import is under way
    return {} if gcf is None else gcf.figs
