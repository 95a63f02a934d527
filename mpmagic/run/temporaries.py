"""The last values of private names: what the serial loop would have left in the notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mpmagic.cell.split import SplitLoop
from mpmagic.run.log import LOST, UNBOUND, Log
from mpmagic.run.placeholder import Placeholder

__all__ = ["Temporaries"]

_Event = tuple[Any, ...]


class Temporaries:
    """Follows the private names of a loop along its committed iterations.

    Where commits may skip the rest of an iteration whose work has run on, the worker forgets the
    names at each iteration's begin, so that a snapshot holds what that iteration has bound, and
    the snapshots count one after the other.

    Parameters
    ----------
    names
        The private names, in the order of snapshots.
    split
        The loop.
    """

    def __init__(self, names: tuple[str, ...], split: SplitLoop) -> None:
        self._names = names
        self._fresh = split.fresh
        self._targets = split.targets
        self._sites = split.sites
        self._speculates = split.speculates
        self._values: dict[str, Any] = {}

    def chunk_done(self, log: Log, skipped: Mapping[int, _Event]) -> None:
        """All iterations of a chunk have been committed, or all up to where its log ends.

        Parameters
        ----------
        log
            The chunk's log.
        skipped
            For each iteration whose rest a commit has skipped, that commit's event.
        """
        last = len(log.snapshots)
        self._finish(log, last, skipped)
        if last - 1 not in skipped:
            self._values |= log.finals

    def stopped(
        self,
        log: Log,
        index: int,
        event: _Event | None,
        skipped: Mapping[int, _Event],
    ) -> None:
        """The loop ended in a chunk's iteration `index`, at the commit of `event`.

        An event that isn't a commit's ended the iteration in the worker too; without one the
        iteration hadn't begun its work, nor without an index the chunk.
        """
        if not self._names:
            return
        finished = max(index, 0)
        self._finish(log, finished, skipped)
        if index >= 0:
            self._begin()
        if event is None:
            return
        if event[0] < 0:
            self._take_snapshot(log, finished, self._names)
        else:
            self._take_at_site(log, finished, event)

    def deleted(self, name: str) -> None:
        """An iteration has unbound a name; what a later one binds it to is known afterwards."""
        self._values[name] = UNBOUND

    def write(self, namespace: dict[str, Any]) -> None:
        """Bind the names in the notebook."""
        for name, value in self._values.items():
            if value is UNBOUND:
                namespace.pop(name, None)
                continue
            lost = value is LOST
            if lost and name in self._fresh:
                continue  # the loop ended early: the notebook's own is as it was
            namespace[name] = Placeholder(name, "a value") if lost else value

    def _finish(self, log: Log, count: int, skipped: Mapping[int, _Event]) -> None:
        """Take the values that a chunk's first `count` iterations have left."""
        if not self._names:
            return
        for index in range(0 if self._speculates else max(count - 1, 0), count):
            if index in skipped:
                self._take_at_site(log, index, skipped[index])
            else:
                self._take_snapshot(log, index, self._names)

    def _begin(self) -> None:
        """An iteration has begun: the names of the target are bound to its item, in the kernel."""
        for name in self._targets:
            self._values.pop(name, None)

    def _take_at_site(self, log: Log, index: int, event: _Event) -> None:
        """Take what iteration `index` has bound before a commit."""
        self._begin()
        site = self._sites[event[0]]
        if index < len(log.snapshots):
            self._take_snapshot(log, index, site.before)
        else:
            # The chunk's last iteration: what it left are the finals.
            for name in site.before & log.finals.keys():
                self._values[name] = log.finals[name]
        if site.state:
            self._take(zip(site.unsure, event[site.state], strict=True), site.unsure)
        else:
            self._values |= dict.fromkeys(site.unsure, LOST)

    def _take_snapshot(self, log: Log, index: int, wanted: Collection[str]) -> None:
        self._take(zip(self._names, log.snapshots[index], strict=True), wanted)

    def _take(self, values: Iterable[tuple[str, Any]], wanted: Collection[str]) -> None:
        for name, value in values:
            if name in wanted and value is not UNBOUND:
                self._values[name] = value
