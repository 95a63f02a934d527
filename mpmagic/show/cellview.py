"""All that is seen of a parallel cell besides its own output."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mpmagic.run.context import CellContext
from mpmagic.run.observer import Observer, Observers
from mpmagic.show.bars import Bars, bars_for
from mpmagic.show.failed import FailedTable
from mpmagic.show.profile import Profile
from mpmagic.show.progress import Progress
from mpmagic.show.summary import Stopped, Summary
from mpmagic.show.timeline import Timeline

__all__ = ["CellView"]


class CellView:
    """Has a cell that is going to run observed, and shows what was asked for.

    Parameters
    ----------
    shell
        The shell.
    cell
        The cell; gets its observer.
    given
        The magic's options: ``quiet``, ``timeline``, ``profile``.
    """

    def __init__(self, shell: Any, cell: CellContext, given: argparse.Namespace) -> None:
        self._shell, self._cell = shell, cell
        self._is_quiet = bool(given.quiet)
        self._bars = Bars() if given.quiet else bars_for(shell)
        self._pictures: list[Timeline | Profile] = []
        if given.timeline:
            self._pictures.append(Timeline())
        if given.profile:
            self._pictures.append(Profile(cell.text, self._named))
        progress = [] if type(self._bars) is Bars else [Progress(self._bars)]
        observers: list[Observer] = [*progress, *self._pictures]
        cell.observer = Observers(observers) if observers else Observer()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Around the run: bars while it lasts, a line and the pictures at its end.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts while those are shown.
        """
        inbox = self._cell.inbox
        try:
            yield
        except BaseException as error:
            with inbox:  # the stop button, pressed twice, shall not leave half a bar
                self._show_stopped(error)
                self._show_failures()
                self._show_pictures()
            with suppress(KeyboardInterrupt):  # the cell ends already
                inbox.raise_interrupt()
            raise
        with inbox:
            self._show_summary()
            self._show_failures()  # whose exceptions the cell has handled
            self._show_pictures()
        inbox.raise_interrupt()

    def _show_stopped(self, error: BaseException) -> None:
        from IPython.display import display

        stopped, report = Stopped(self._cell.report, error), self._cell.report
        if not self._bars.become(stopped) and report.told_of_resuming and not self._is_quiet:
            display(stopped)

    def _show_summary(self) -> None:
        from IPython.display import publish_display_data

        report = self._cell.report
        summary = Summary(report, self._cell.workers)
        if not self._is_quiet and report.told and not self._bars.become(summary):
            # Not `display`, which asks all formatters: a short cell would wait for those.
            publish_display_data({"text/plain": repr(summary), "text/html": summary._repr_html_()})

    def _show_failures(self) -> None:
        from IPython.display import display

        if self._cell.report.failures and not self._is_quiet:
            display(FailedTable(self._cell.report.failures))

    def _show_pictures(self) -> None:
        from IPython.display import display

        for picture in self._pictures:
            display(picture)

    def _named(self, filename: str) -> str:
        number = self._shell.compile._filename_map.get(filename)
        return filename if number is None else f"cell {number}"
