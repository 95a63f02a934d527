"""What each worker, and the kernel, did when: the numbers behind a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mpmagic.count.progress import readable_size
from mpmagic.run.observer import Begun, Committed, Returned, Unit
from mpmagic.show.quantities import duration

__all__ = ["Act", "Doing", "Lane", "Loop", "Shares", "lanes_of"]


class Doing(Enum):
    """What a process is at."""

    WORK = "work"
    TRANSFER = "transfer"
    COMMIT = "commit"
    IDLE = "idle"


@dataclass(slots=True)
class Loop:
    """A loop, or a group of calls, from its begin to its end.

    Attributes
    ----------
    begun
        What it is.
    ended
        When it ended; while it runs, when it was last heard of.
    chunks, commits
        What workers and kernel did for it.
    """

    begun: Begun
    ended: float
    chunks: list[Returned] = field(default_factory=list)
    commits: list[Committed] = field(default_factory=list)


class Act(NamedTuple):
    """Something that takes time.

    Attributes
    ----------
    doing
        What it is.
    began, ended
        When, in seconds from the timeline's begin.
    told
        What there is to say of it.
    """

    doing: Doing
    began: float
    ended: float
    told: str


class Shares(NamedTuple):
    """What a process's time went to, in seconds.

    Attributes
    ----------
    work, transfer, idle
        The work (of the kernel, the commits), reading and sending, and nothing.
    """

    work: float
    transfer: float
    idle: float

    @classmethod
    def sum(cls, parts: Iterable[Shares]) -> Shares:
        """Those of several processes together."""
        listed = [(part.work, part.transfer, part.idle) for part in parts]
        return cls(*map(sum, zip(*listed, strict=True))) if listed else cls(0.0, 0.0, 0.0)

    def __str__(self) -> str:
        whole = (self.work + self.transfer + self.idle) or 1.0
        named = (("work", self.work), ("transfer", self.transfer), ("idle", self.idle))
        return ", ".join(f"{part / whole:.0%} {name}" for name, part in named)


class Lane(NamedTuple):
    """One process's acts.

    Attributes
    ----------
    name
        ``kernel``, or ``worker 1`` and so on.
    pid
        Its process; 0 for the kernel.
    acts
        In order; they don't overlap.
    chunks
        How many chunks, or calls, it has seen.
    """

    name: str
    pid: int
    acts: tuple[Act, ...]
    chunks: int

    def shares(self, span: float) -> Shares:
        """What `span` seconds went to."""
        transfer = sum(a.ended - a.began for a in self.acts if a.doing is Doing.TRANSFER)
        work = sum(a.ended - a.began for a in self.acts if a.doing is not Doing.TRANSFER)
        return Shares(work, transfer, max(0.0, span - work - transfer))


def lanes_of(loops: Sequence[Loop]) -> list[Lane]:
    """The kernel's lane, and one for each worker in the order in which they came."""
    start = loops[0].begun.at
    commits = [(c, loop.begun.unit) for loop in loops for c in loop.commits]
    acts = tuple(_commit(c, unit, start) for c, unit in commits)
    lanes = [Lane("kernel", 0, acts, len(acts))]
    by_pid: dict[int, list[tuple[Returned, Unit]]] = {}
    for loop in loops:
        for chunk in loop.chunks:
            by_pid.setdefault(chunk.timing.pid, []).append((chunk, loop.begun.unit))
    first = {pid: min(c.timing.entered for c, _ in chunks) for pid, chunks in by_pid.items()}
    for number, pid in enumerate(sorted(by_pid, key=first.__getitem__), 1):
        chunks = sorted(by_pid[pid], key=lambda pair: pair[0].timing.entered)
        acts = tuple(_acts(chunks, start))
        lanes.append(Lane(f"worker {number}", pid, acts, len(chunks)))
    return lanes


def _commit(commit: Committed, unit: Unit, start: float) -> Act:
    took = duration(commit.ended - commit.began)
    told = f"{commit.span.named(unit)}: committed in {took}"
    return Act(Doing.COMMIT, commit.began - start, commit.ended - start, told)


def _acts(chunks: Iterable[tuple[Returned, Unit]], start: float) -> Iterator[Act]:
    ordered = list(chunks)
    for (chunk, unit), following in zip(ordered, [*ordered[1:], None], strict=True):
        name, timing = chunk.span.named(unit), chunk.timing
        entered, began, ended = (moment - start for moment in timing[1:])
        yield Act(
            Doing.TRANSFER, entered, began, f"{name}: received in {duration(began - entered)}"
        )
        told = f"{name}: {duration(timing.seconds)} of work in process {timing.pid}"
        yield Act(Doing.WORK, began, ended, told)
        # The worker goes on while the kernel takes what it has sent.
        back = chunk.arrived if following is None else following[0].timing.entered
        arrived = max(ended, min(chunk.arrived, back) - start)
        nbytes = f", {readable_size(chunk.nbytes)}" if chunk.nbytes else ""
        yield Act(
            Doing.TRANSFER, ended, arrived, f"{name}: sent in {duration(arrived - ended)}{nbytes}"
        )
