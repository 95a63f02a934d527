"""A cell in the background, as the notebook has it under the name that was given with ``--bg``."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from mpmagic.errors import EndedBefore

if TYPE_CHECKING:
    from mpmagic.run.background import BackgroundRun
    from mpmagic.run.wait import Inbox

__all__ = ["BackgroundCell", "BackgroundState"]


class BackgroundState(enum.Enum):
    """How far a cell in the background has come."""

    WORKING = "its work goes on"
    READY = "its work is done"
    COMMITTING = "being committed"
    COMMITTED = "committed"
    FAILED = "ended by an exception"
    CANCELLED = "cancelled"


class BackgroundCell:
    """A cell whose work goes on while the notebook is used, until its commits are asked for.

    Parameters
    ----------
    name
        What the notebook calls it.
    run
        The run, which has started.
    inbox
        How the main thread waits.
    shown
        Gives the context in which the commits run: where what they show is seen.
    """

    def __init__(
        self,
        name: str,
        run: BackgroundRun,
        inbox: Inbox,
        shown: Callable[[], AbstractContextManager[bool]],
    ) -> None:
        self._name, self._run, self._inbox, self._shown = name, run, inbox, shown
        self._ended: BackgroundState | None = None
        self._progress = run.progress
        self.began = perf_counter()

    @property
    def name(self) -> str:
        """What the notebook calls it."""
        return self._name

    @property
    def state(self) -> BackgroundState:
        """How far it has come."""
        if self._ended is not None:
            return self._ended
        done, total = self.progress
        return BackgroundState.READY if done == total else BackgroundState.WORKING

    @property
    def progress(self) -> tuple[int, int]:
        """Iterations whose work is done, and all that there are."""
        if self._ended is None:
            self._progress = self._run.progress
        return self._progress

    def done(self) -> bool:
        """Say whether no work goes on: `commit` won't have to wait."""
        return self.state is not BackgroundState.WORKING

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no work goes on; an interrupt ends the wait, not the work.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether no work goes on.
        """
        end = None if timeout is None else monotonic() + timeout
        pause = None if timeout is None else min(max(timeout, 0.001), 0.05)
        with self._inbox:
            self._inbox.wait_until(
                lambda: self.done() or (end is not None and monotonic() >= end), pause=pause
            )
        return self.done()

    def cancel(self) -> None:
        """Stop the work; nothing of it is committed."""
        if self._ended is None:
            self._progress = self._run.progress
            self._ended = BackgroundState.CANCELLED
            self._run.stop()

    def commit(self, *, anyway: bool = False) -> None:
        """Run the commits in the order of the loop, and the rest of the cell; wait if need be.

        The notebook's names, the output and the exception are then those of the cell.

        Parameters
        ----------
        anyway : bool
            Commit also if what the work has read, or what the commits change, isn't what it was
            when the work began.

        Raises
        ------
        ChangedMeanwhile
            If it isn't; nothing is committed.
        EndedBefore
            If it was committed or cancelled before.
        BaseException
            Whatever the cell raises.
        """
        if self._ended is not None:
            raise EndedBefore(
                f"`{self._name}` was {self._ended.value} before. Run its cell again, to begin anew"
            )
        if not anyway:
            self._run.check_changed(self._name)
        self._progress, self._ended = self._run.progress, BackgroundState.COMMITTING
        try:
            with self._shown() as show_last:
                self._run.commit(show_last=show_last)
        except BaseException:
            self._ended = BackgroundState.FAILED
            raise
        self._progress = self._progress[1], self._progress[1]
        self._ended = BackgroundState.COMMITTED

    def __repr__(self) -> str:
        from mpmagic.show.background import BackgroundLine

        return repr(BackgroundLine.of(self))

    def _ipython_display_(self) -> None:
        from IPython import get_ipython
        from IPython.display import display

        from mpmagic.show.background import BackgroundLine, follow

        shell: Any = get_ipython()
        line = BackgroundLine.of(self)
        handle = display(line, display_id=True)
        if self.state is BackgroundState.WORKING:
            follow(self, line, handle.display_id, shell)
