"""Measure mpmagic beside its peers: `python -m tests.bench.peers`."""

from __future__ import annotations

import argparse
import compileall
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mpmagic
from tests.bench.peers import counting, data, loops, plot
from tests.bench.peers.contest import Contest, contestants
from tests.bench.peers.growth import Curve, curves, growth_table
from tests.bench.peers.record import Record
from tests.bench.peers.table import reached, table
from tests.bench.peers.workload import Workload

WORKLOADS = (*loops.WORKLOADS, *data.WORKLOADS, *counting.WORKLOADS)


def options() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser("python -m tests.bench.peers", description=__doc__)
    names = ", ".join([*(w.name for w in WORKLOADS), "growth"])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed")
    parser.add_argument("--only", type=_names, default=[], metavar="WORKLOAD,...", help=names)
    parser.add_argument("--peers", type=_names, default=[], metavar="PEER,...")
    parser.add_argument("--largest", type=float, default=8e9, help="bytes that `growth` captures")
    parser.add_argument("--out", type=Path, help="a folder for the tables and plots")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def measure(workload: Workload, names: Sequence[str], rounds: int) -> tuple[Record, str]:
    """What was measured, and its table, which is printed."""
    peers, absent = contestants(names, workload.peers)
    record = Contest(workload, peers).run(rounds)
    text = table(workload, record, peers, absent)
    text += f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}.\n"
    print(f"\n{text}", flush=True)
    return record, text


def conditions(workloads: Sequence[Workload]) -> str:
    """Where this was measured, and what."""
    peers = dict.fromkeys(peer for workload in workloads for peer in workload.peers)
    versions = ", ".join(f"{p.name} {p.version}" for p in peers if p.version)
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load before {os.getloadavg()[0]:.1f}; {versions}.\n"
    )


def main() -> None:
    given = options()
    # As pip does with what it installs, and the others are: `cold` imports it.
    compileall.compile_dir(Path(mpmagic.__file__).parent, quiet=1)
    chosen = [w for w in WORKLOADS if not given.only or w.name in given.only]
    outcome = Outcome([conditions(chosen)])
    for workload in chosen:
        outcome.add(workload, *measure(workload, given.peers, given.rounds))
        outcome.write(given.out)  # each time: a run takes long
    print(reached(outcome.measured))
    if not given.only or "growth" in given.only:
        outcome.grown = curves(given.rounds, given.largest)
        print(growth_table(outcome.grown))
    outcome.write(given.out)


@dataclass(slots=True)
class Outcome:
    """What a run has come to so far: tables, and what plots are made of."""

    texts: list[str]
    measured: list[tuple[Workload, Record]] = field(default_factory=list)
    grown: Sequence[Curve] = ()

    def add(self, workload: Workload, record: Record, text: str) -> None:
        """Take in a workload."""
        self.measured.append((workload, record))
        self.texts.append(text)

    def write(self, folder: Path | None) -> None:
        """Leave the tables and plots in a folder, if there is to be one."""
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        texts = [*self.texts, reached(self.measured)]
        if self.grown:
            texts.append(growth_table(self.grown))
            plot.growth(self.grown, folder / "growth.svg")
        (folder / "peers.md").write_text("\n".join(texts), encoding="utf-8")
        plot.ratios(self.measured, folder / "peers.svg")


if __name__ == "__main__":
    main()
