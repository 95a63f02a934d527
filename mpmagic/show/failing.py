"""How IPython shows an exception of a parallel cell: as it shows that of any other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpmagic.run.tidying import calls_back, tidy

__all__ = ["ErrorsShown", "show_bare"]


class ErrorsShown:
    """Has a shell show exceptions of parallel cells with the frames of the cell without the magic.

    Those of the magic come on top of the others on the way to the shell, which looks at an
    exception there and nowhere else. So it's tidied at that moment: for the traceback, ``%tb``,
    ``%debug``, `sys.last_value` and the user's own handlers.

    Parameters
    ----------
    shell
        The shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._error: BaseException | None = None
        self._looked_at = self._custom = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the exception of a block shown so."""
        try:
            yield
        except BaseException as error:
            self._restore()  # nobody may have looked at the last one
            self._expect(error)
            raise

    def _expect(self, error: BaseException) -> None:
        shell = self._shell
        self._error = error
        self._looked_at, shell._get_exc_info = shell._get_exc_info, self._look
        self._custom, shell.CustomTB = shell.CustomTB, self._show

    def _restore(self) -> None:
        shell = self._shell
        if shell._get_exc_info == self._look:
            shell._get_exc_info = self._looked_at
        if shell.CustomTB == self._show:  # else the user has set another one
            shell.CustomTB = self._custom
        self._error = None

    def _look(self, exc_tuple: Any = None) -> Any:
        """What the shell asks first, before it shows an exception."""
        given = sys.exc_info() if exc_tuple is None else exc_tuple
        found = self._tidied(*given) if given[1] is self._error else exc_tuple
        self._restore()
        return self._shell._get_exc_info(found)

    def _show(self, kind: Any, value: Any, trace: Any, tb_offset: int | None = None) -> Any:
        """What it calls instead, if the user has a handler for the exception."""
        given = kind, value, trace
        found = self._tidied(*given) if value is self._error else given
        self._restore()
        return self._shell.CustomTB(*found, tb_offset)

    def _tidied(self, kind: Any, error: Any, trace: Any) -> tuple[Any, Any, Any]:
        if calls_back(trace):  # else it's a mistake of ours, and our frames say which
            tidy(error)
        return kind, error, error.__traceback__


def show_bare(error: SyntaxError, display: Any) -> None:
    """Have IPython show a syntax error without frames: it asks no syntax error how."""
    shown = display.structured_traceback

    def bare(kind: type, value: BaseException, frames: Any = None, *rest: Any, **named: Any) -> Any:
        if value is error:
            display.structured_traceback = shown
            frames = []
        return shown(kind, value, frames, *rest, **named)

    display.structured_traceback = bare
