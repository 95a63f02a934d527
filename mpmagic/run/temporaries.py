"""The last values of private names: what the serial loop would have left in the notebook."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from mpmagic.run.log import LOST, UNBOUND, Log
from mpmagic.run.placeholder import Placeholder

__all__ = ["Temporaries"]


class Temporaries:
    """Follows the private names of a loop along its committed iterations.

    Parameters
    ----------
    names
        The private names, in the order of snapshots.
    deleted
        Those of them that the body unbinds.
    """

    def __init__(self, names: tuple[str, ...], deleted: frozenset[str]) -> None:
        self._names = names
        self._deleted = deleted
        self._values: dict[str, Any] = {}

    def chunk_done(self, log: Log, own: Callable[[Any], Any]) -> None:
        """All iterations of a chunk have been committed, or all up to where its log ends.

        Parameters
        ----------
        log
            The chunk's log.
        own
            Gives the kernel's own object for what the worker had a copy of.
        """
        if log.snapshots:
            self._take(log.snapshots[-1], self._names, own)
        self._values |= {name: own(value) for name, value in log.finals.items()}

    def stopped(
        self, log: Log, finished: int, bound_by: frozenset[str], own: Callable[[Any], Any]
    ) -> None:
        """The loop ended in a chunk's iteration `finished`, in a commit.

        Parameters
        ----------
        log
            The chunk's log.
        finished
            How many of its iterations had been committed.
        bound_by
            Names that the work has bound before the commit in question; those that it binds
            both before and after are unknown.
        own
            As above.
        """
        if not self._names:
            return
        if finished:
            self._take(log.snapshots[finished - 1], self._names, own)
        if finished < len(log.snapshots):
            self._take(log.snapshots[finished], bound_by, own)
        else:
            # The chunk's last iteration: what it left are the finals.
            for name in bound_by & log.finals.keys():
                self._values[name] = own(log.finals[name])

    def forget(self, names: Iterable[str]) -> None:
        """The values of these names when the loop ended stayed in the worker."""
        self._values |= dict.fromkeys(names, LOST)

    def write(self, namespace: dict[str, Any]) -> None:
        """Bind the names in the notebook."""
        for name, value in self._values.items():
            lost = value is LOST
            namespace[name] = Placeholder(name, "a value") if lost else value
        for name in self._deleted - self._values.keys():
            namespace.pop(name, None)

    def _take(
        self, snapshot: tuple[Any, ...], wanted: Collection[str], own: Callable[[Any], Any]
    ) -> None:
        for name, value in zip(self._names, snapshot, strict=True):
            if name in wanted and value is not UNBOUND:
                self._values[name] = own(value)
