"""Rounds in which every contestant does the same job, in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.peers.notebook import CellFailed, Notebook, notebook
from tests.bench.peers.peer import MPMAGIC, SERIAL, Peer
from tests.bench.peers.record import Record
from tests.bench.peers.workload import Step, Workload


class Contest:
    """A workload and the notebooks in which contestants do it.

    Parameters
    ----------
    workload
        The job.
    peers
        Who takes part; those that have a way to do it.
    """

    def __init__(self, workload: Workload, peers: Sequence[Peer]) -> None:
        self.record = Record()
        self._workload = workload
        self._peers = [peer for peer in peers if workload.steps(peer)]
        self._notebooks: dict[Peer, Notebook] = {}
        self._folder = ""

    def run(self, rounds: int) -> Record:
        """What was measured in so many rounds, or as many as the workload is worth."""
        with ExitStack() as stack:
            if self._workload.files is not None:
                self._folder = stack.enter_context(TemporaryDirectory())
                self._workload.files(Path(self._folder))
            if not self._workload.fresh:
                self._all(partial(self._open, stack=stack))
            for number in range(min(rounds, self._workload.most)):
                self._all(partial(self._round, number=number), first=number)
                print(".", end="", file=sys.stderr, flush=True)
            if self._workload.weighs:
                self._all(partial(self._weigh, number=rounds))
        return self.record

    def _all(self, what: Callable[[Peer], None], *, first: int = 0) -> None:
        """Have all that haven't failed do something in turn, and note who fails at it.

        Parameters
        ----------
        what
            What is to be done.
        first
            Who begins; it changes, so that nobody always comes behind the same one.
        """
        turn = first % max(1, len(self._peers))
        for peer in self._peers[turn:] + self._peers[:turn]:
            if peer.name in self.record.failures:
                continue
            try:
                self._in_turn(what, peer)
            except CellFailed as error:
                self.record.failures[peer.name] = str(error).partition("\n")[0]

    def _in_turn(self, what: Callable[[Peer], None], peer: Peer) -> None:
        """Do something while the other contestants stand still.

        Waiting takes processors too: twelve of them took 15 % of one, of which those that use all
        had less, and a serial cell nothing.
        """
        if peer in self._notebooks:
            self._notebooks[peer].go_on()
        try:
            what(peer)
        finally:
            if peer in self._notebooks:
                self._notebooks[peer].pause()

    def _open(self, peer: Peer, *, stack: ExitStack) -> None:
        opened = stack.enter_context(notebook())
        self._notebooks[peer] = opened
        self._set_up(opened)
        if not self._forks_late(peer):
            opened.run(peer.start)
            opened.run(_warming(peer))

    def _set_up(self, opened: Notebook) -> None:
        if self._folder:
            opened.run(f"folder = {self._folder!r}")
        opened.run(self._workload.setup)

    def _forks_late(self, peer: Peer) -> bool:
        """Whether the timed cells make the workers themselves."""
        return self._workload.fresh or any(
            peer.start and peer.start in step.cell for step in self._workload.steps(peer)
        )

    def _round(self, peer: Peer, number: int) -> None:
        if self._workload.fresh:
            with notebook() as opened:
                self._set_up(opened)
                self._steps(peer, opened, number)
                opened.run(peer.stop)
            return
        opened = self._notebooks[peer]
        opened.run(self._workload.prepare.format(round=number))
        self._steps(peer, opened, number)
        self._tidy(peer, opened)

    def _tidy(self, peer: Peer, opened: Notebook) -> None:
        opened.run(self._workload.tidy)
        if self._forks_late(peer):
            opened.run(peer.stop)

    def _steps(self, peer: Peer, opened: Notebook, number: int) -> None:
        for step in self._workload.steps(peer):
            found = [self._timed(peer, opened, step) for _ in range(step.repeats)]
            self.record.seconds[peer.name, step.label][number] = median(found)

    def _timed(self, peer: Peer, opened: Notebook, step: Step) -> float:
        timing = opened.timed(step.cell, magic=step.magic)
        if step.does_it:
            opened.run(self._workload.check)
        if self._workload.lines and timing.text != self._workload.lines:
            self.record.failures[peer.name] = _difference(timing.text, self._workload.lines)
        return timing.seconds

    def _weigh(self, peer: Peer, number: int) -> None:
        """The most memory in use while the steps run in a new kernel, not timed."""
        self._notebooks.pop(peer).close()
        with ExitStack() as stack:
            self._open(peer, stack=stack)
            opened = self._notebooks[peer]
            opened.run(self._workload.prepare.format(round=number))
            with opened.watched() as found:
                for step in self._workload.steps(peer):
                    if step.does_it:
                        opened.timed(step.cell, magic=step.magic)
            self.record.megabytes[peer.name] = max(found) / 1e6
            self._tidy(peer, opened)


def _warming(peer: Peer) -> str:
    """A cell after which all workers have run something: only `cold` measures their start."""
    if peer == MPMAGIC:
        return "%%parallel\nwarm = [wait_a_little(x) for x in range(20)]"
    return f"warm = {peer.map('wait_a_little', 'range(20)')}" if peer.each else ""


def _difference(shown: str, expected: str) -> str:
    """What is wrong with the lines that a cell has shown."""
    lines, wanted = shown.splitlines(), expected.splitlines()
    missing = len(set(wanted) - set(lines))
    return f"{missing:,} of {len(wanted):,} lines missing" if missing else "lines out of order"


def contestants(names: Sequence[str], known: Sequence[Peer]) -> tuple[list[Peer], list[str]]:
    """Those of whom something can be measured, and what is to be said of the others."""
    asked = [p for p in known if not names or p.name in names or p in (SERIAL, MPMAGIC)]
    there = [peer for peer in asked if peer.version is not None]
    missing = [f"{p.name} (not installed)" for p in asked if p not in there]
    return there, missing + [f"{p.name} (not asked for)" for p in known if p not in asked]
