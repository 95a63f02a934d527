"""pyplot's figures while a loop runs: those that the kernel holds, those that the work leaves."""

from __future__ import annotations

import sys
from typing import Any, Final

from mpmagic.run.tenancy import Tenancy, tenancy

__all__ = ["LEFT_FIGURES", "FigureWatch", "has_open_figures"]

LEFT_FIGURES: Final = "left a figure of pyplot's open"


def has_open_figures() -> bool:
    """Whether there is a figure that closing all would close."""
    return bool(_figures())


def _figures() -> dict[Any, Any]:
    """pyplot's own, by number; reading them imports nothing."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    gcf = getattr(helpers, "Gcf", None)  # None while its import is under way
    return {} if gcf is None else gcf.figs


class FigureWatch:
    """Tells whether figures were left open since it was made.

    The notebook would show them: what draws without the source showing it, such as a library that
    calls pyplot, is found so.
    """

    def __init__(self) -> None:
        # In the notebook's own process those are the notebook's; there work can't make any.
        self._is_on = tenancy() is not Tenancy.COMPANION
        self._before = frozenset(_figures())

    def close_new(self) -> bool:
        """Close those that have been left open; whether there were any."""
        left = [n for n in _figures() if self._is_on and n not in self._before]
        for number in left:
            sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(number)
        return bool(left)
