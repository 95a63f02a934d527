"""pyplot's figures while a loop runs: those that the kernel holds, those that the work leaves."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final, Self

from mpmagic.run.tenancy import Tenancy, tenancy

__all__ = ["LEFT_FIGURES", "FigureWatch", "has_open_figures", "open_again",
           "take_backend"]  # fmt: skip

LEFT_FIGURES: Final = "left a figure of pyplot's open"


def has_open_figures() -> bool:
    """Whether there is a figure that closing all would close."""
    return bool(_figures())


def _figures() -> dict[Any, Any]:
    """pyplot's own, by number; reading them imports nothing."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    gcf = getattr(helpers, "Gcf", None)  # None while its import is under way
    return {} if gcf is None else gcf.figs


def take_backend(backend: str) -> None:
    """Have this worker show figures as the notebook does, if it has imported pyplot at all."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if backend and pyplot is not None and tenancy() is not Tenancy.COMPANION:
        if dict.get(pyplot.rcParams, "backend") != backend:
            pyplot.switch_backend(backend)


def open_again(figures: Iterable[Any]) -> None:
    """Make figures from a worker pyplot's own, as unpickling them would if they were open there."""
    for figure in figures:
        import matplotlib.pyplot as plt
        from matplotlib._pylab_helpers import Gcf

        number = max(plt.get_fignums(), default=0) + 1
        manager = plt._get_backend_mod().new_figure_manager_given_figure(number, figure)
        Gcf._set_new_active_manager(manager)
        plt.draw_if_interactive()  # type: ignore[no-untyped-call]


class FigureWatch:
    """Tells whether figures were left open since it was made.

    The notebook would show them: what draws without the source showing it, such as a library that
    calls pyplot, is found so. As a context it closes them when it's left, by an interrupt too.
    """

    def __init__(self) -> None:
        # In the notebook's own process those are the notebook's; there work can't make any.
        self._is_on = tenancy() is not Tenancy.COMPANION
        self._before = frozenset(_figures())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close_new()

    def close_new(self) -> list[Any]:
        """Close those that have been left open; these.

        Closed before they are pickled: unpickling one that is open opens it, and the iteration
        that has left it open may never be reached.
        """
        left = self._new()
        for number in left:
            sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(number)
        return [manager.canvas.figure for manager in left.values()]

    def _new(self) -> dict[Any, Any]:
        figures = _figures() if self._is_on else {}
        return {n: manager for n, manager in figures.items() if n not in self._before}
