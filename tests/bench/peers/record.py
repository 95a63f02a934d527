"""What was measured of a workload."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from tests.bench.peers.peer import MPMAGIC, Peer

NAN = math.nan


@dataclass(slots=True)
class Record:
    """Seconds by contestant, step and round; what went wrong; megabytes at most."""

    seconds: dict[tuple[str, str], dict[int, float]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    failures: dict[str, str] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)

    def labels(self) -> list[str]:
        """The steps, in order."""
        return list(dict.fromkeys(label for _, label in self.seconds))

    def median(self, peer: Peer, label: str) -> float:
        """The median over the rounds; NaN if the contestant has none."""
        found = self.seconds.get((peer.name, label))
        return median(found.values()) if found else NAN

    def ratio(self, label: str, to: Peer, of: Peer = MPMAGIC, base: str = "") -> float:
        """The median of one contestant's time over another's in the same round.

        Parameters
        ----------
        label
            The step.
        to, of
            The contestants; `of` is divided by `to`.
        base
            The step of `to`, if it's another.
        """
        ours = self.seconds.get((of.name, label), {})
        theirs = self.seconds.get((to.name, base or label), {})
        both = ours.keys() & theirs.keys()
        return median(ours[i] / theirs[i] for i in both) if both else NAN

    def fastest(self, label: str, peers: Iterable[Peer]) -> Peer | None:
        """The contestant among these that was right and took the shortest time."""
        able = [
            p for p in peers if p.name not in self.failures and self.seconds.get((p.name, label))
        ]
        return min(able, key=lambda peer: self.median(peer, label), default=None)

    def to_fastest(self, label: str, peers: Iterable[Peer]) -> float:
        """mpmagic's time over that of the fastest of these; NaN if none was measured."""
        found = self.fastest(label, (p for p in peers if p != MPMAGIC))
        return NAN if found is None else self.ratio(label, found)
