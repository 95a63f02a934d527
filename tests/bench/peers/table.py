"""Tables in Markdown of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.bench.peers.peer import MPMAGIC, Peer
from tests.bench.peers.record import Record
from tests.bench.peers.workload import Target, Workload


def table(workload: Workload, record: Record, peers: Sequence[Peer], absent: Sequence[str]) -> str:
    """Every contestant's time, and as a multiple of mpmagic's."""
    labels = record.labels()
    head = ["", *[column for label in labels for column in (label, "/ mpmagic")]]
    head += ["MB at most"] if record.megabytes else []
    lines = [f"**{workload.name}**: {workload.title}", "", _line(head), _line(["---"] * len(head))]
    lines += [_line(_cells(record, peer, labels)) for peer in peers if _took_part(record, peer)]
    without = [p.name for p in peers if not _took_part(record, p)]
    lines += ["", f"No such job: {', '.join(without)}."] if without else []
    lines += ["", f"Not measured: {', '.join(absent)}."] if absent else []
    return "\n".join(lines) + "\n"


def reached(workloads: Sequence[tuple[Workload, Record]]) -> str:
    """What mpmagic was to reach, and whether it did."""
    lines = [_line(["workload", "mpmagic", "", "at most", "reached"]), _line(["---"] * 5)]
    for workload, record in workloads:
        lines += [_line([workload.name, *_verdict(t, record)]) for t in workload.targets]
    return "\n".join(lines) + "\n"


def _verdict(target: Target, record: Record) -> list[str]:
    number = target.number(record)
    if MPMAGIC.name in record.failures:
        return ["failed", target.text, f"{target.limit:.2f}", record.failures[MPMAGIC.name]]
    if math.isnan(number):
        return ["not measured", target.text, f"{target.limit:.2f}", ""]
    verdict = "yes" if number <= target.limit else "**no**"
    return [f"{number:.2f}", target.text, f"{target.limit:.2f}", verdict]


def _took_part(record: Record, peer: Peer) -> bool:
    return peer.name in record.failures or any(name == peer.name for name, _ in record.seconds)


def _cells(record: Record, peer: Peer, labels: Sequence[str]) -> list[str]:
    failure = record.failures.get(peer.name)
    cells = [f"{peer.name}: {failure}" if failure else peer.name]
    for label in labels:
        cells += [duration(record.median(peer, label)), _multiple(record, peer, label)]
    if record.megabytes:
        weight = record.megabytes.get(peer.name)
        cells.append("" if weight is None else f"{weight:,.0f}")
    return cells


def _multiple(record: Record, peer: Peer, label: str) -> str:
    number = record.ratio(label, MPMAGIC, of=peer)
    return "" if math.isnan(number) else f"{number:.2f}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if math.isnan(seconds):
        return ""
    if seconds < 0.1:
        return f"{seconds * 1000:.2f} ms"
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
