"""How many workers there shall be, and when to give up making them."""

from __future__ import annotations

from mpmagic.errors import WorkerDied
from mpmagic.pool.crew import Crew
from mpmagic.pool.launcher import Exit
from mpmagic.pool.status import WorkerState
from mpmagic.pool.warden import Warden

__all__ = ["Recruiter"]

_MOST_FAILED_STARTS = 3


class Recruiter:
    """Hires for the supervisor, in its thread.

    Parameters
    ----------
    crew : Crew
        The workers.
    warden : Warden
        Looks after those that start.
    most : int
        How many there may be.
    start_limit : float or None
        Seconds that an initialiser may take.
    """

    def __init__(self, crew: Crew, warden: Warden, *, most: int, start_limit: float | None) -> None:
        self._crew = crew
        self._warden = warden
        self._most = most
        self._start_limit = start_limit
        self._wanted = 0
        self._failure: Exit | None = None  # in this turn of the loop
        self._failures = 0

    def want(self, count: int) -> None:
        """Have at least so many from now on."""
        self._most = max(self._most, count)
        self._wanted = max(self._wanted, count)

    def want_none(self) -> None:
        """Hire for tasks only: workers can't be made, or their initialiser fails."""
        self._wanted = 0

    def hire(self, waiting: int, *, replaces: bool) -> None:
        """Hire as many workers as there are tasks for, and those that were there before.

        Parameters
        ----------
        waiting : int
            Tasks that have no worker.
        replaces : bool
            Whether workers that are gone are replaced when nothing waits for them.
        """
        crew = len(self._crew)
        starting = self._crew.count(WorkerState.STARTING)
        lacking = min(waiting - starting, self._most - crew)
        if replaces:
            lacking = max(lacking, self._wanted - crew)
        for _ in range(lacking):
            if (member := self._crew.hire()) is not None:
                self._warden.watch_start(member, self._start_limit)
        self._wanted = max(self._wanted, crew + max(lacking, 0))

    def failed(self, how: Exit) -> None:
        """Note that a worker ended before it had done anything."""
        self._failure = how

    def succeeded(self) -> None:
        """Note that one has done something."""
        self._failures = 0

    def verdict(self) -> WorkerDied | None:
        """Say why no worker can be made, when there have been turns enough in which some failed.

        Not workers enough: those that go down together, with their fork server, have one reason.
        """
        how, self._failure = self._failure, None
        self._failures += how is not None
        if how is None or self._failures < _MOST_FAILED_STARTS:
            return None
        self._failures = 0
        self.want_none()
        return WorkerDied(
            f"no worker process could be started: the last of {_MOST_FAILED_STARTS} {how} before "
            f"it had done anything"
        )
