"""Measure mpmagic beside its peers: `python -m tests.bench.peers`."""

from __future__ import annotations

import argparse
import compileall
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import mpmagic
from tests.bench.peers import data, loops, plot
from tests.bench.peers.contest import Contest, contestants
from tests.bench.peers.growth import Curve, curves, growth_table
from tests.bench.peers.peer import PEERS, Peer
from tests.bench.peers.record import Record
from tests.bench.peers.table import reached, table
from tests.bench.peers.workload import Workload

WORKLOADS = (*loops.WORKLOADS, *data.WORKLOADS)


def options() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser("python -m tests.bench.peers", description=__doc__)
    names = ", ".join([*(w.name for w in WORKLOADS), "growth"])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed")
    parser.add_argument("--only", type=_names, default=[], metavar="WORKLOAD,...", help=names)
    parser.add_argument("--peers", type=_names, default=[], metavar="PEER,...")
    parser.add_argument("--out", type=Path, help="a folder for the tables and plots")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def measure(
    workload: Workload, peers: Sequence[Peer], absent: Sequence[str], rounds: int
) -> tuple[Record, str]:
    """What was measured, and its table, which is printed."""
    record = Contest(workload, peers).run(rounds)
    text = table(workload, record, peers, absent)
    print(f"\n{text}", flush=True)
    return record, text


def conditions(peers: Sequence[Peer]) -> str:
    """Where this was measured, and what."""
    versions = ", ".join(f"{p.name} {p.version}" for p in peers if p.version)
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load before {os.getloadavg()[0]:.1f}; {versions}.\n"
    )


def main() -> None:
    given = options()
    # As pip does with what it installs, and the others are: `cold` imports it.
    compileall.compile_dir(Path(mpmagic.__file__).parent, quiet=1)
    peers, absent = contestants(given.peers, PEERS)
    chosen = [w for w in WORKLOADS if not given.only or w.name in given.only]
    texts = [conditions(peers)]
    found = []
    for workload in chosen:
        record, text = measure(workload, peers, absent, given.rounds)
        texts.append(text)
        found.append((workload, record))
    texts.insert(1, reached(found))
    print(texts[1])
    grown = curves(given.rounds) if not given.only or "growth" in given.only else []
    if grown:
        texts.append(growth_table(grown))
        print(texts[-1])
    if given.out:
        write(given.out, texts, found, grown, peers)


def write(
    folder: Path,
    texts: Sequence[str],
    found: Sequence[tuple[Workload, Record]],
    grown: Sequence[Curve],
    peers: Sequence[Peer],
) -> None:
    """Leave the tables and plots in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.md").write_text("\n".join(texts), encoding="utf-8")
    plot.ratios(found, peers, folder / "peers.svg")
    if grown:
        plot.growth(grown, folder / "growth.svg")


if __name__ == "__main__":
    main()
