"""Measure mpmagic beside its peers: `python -m tests.bench.peers`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.peers import data, loops
from tests.bench.peers.contest import Contest, contestants
from tests.bench.peers.peer import PEERS, Peer
from tests.bench.peers.record import Record
from tests.bench.peers.table import reached, table
from tests.bench.peers.workload import Workload

WORKLOADS = (*loops.WORKLOADS, *data.WORKLOADS)


def options() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser("python -m tests.bench.peers", description=__doc__)
    names = ", ".join(w.name for w in WORKLOADS)
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


def main() -> None:
    given = options()
    peers, absent = contestants(given.peers, PEERS)
    load = f"Load of the machine before: {os.getloadavg()[0]:.1f}; cores: {os.cpu_count()}."
    texts, found = [load], []
    for workload in WORKLOADS:
        if given.only and workload.name not in given.only:
            continue
        record, text = measure(workload, peers, absent, given.rounds)
        texts.append(text)
        found.append((workload, record))
    texts.append(reached(found))
    print(texts[-1])
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "peers.md").write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
