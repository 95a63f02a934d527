"""Plots of what was measured, as SVG that reads on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl

from tests.bench.peers.growth import Curve
from tests.bench.peers.peer import MPMAGIC, SERIAL
from tests.bench.peers.record import Record
from tests.bench.peers.table import duration
from tests.bench.peers.workload import Workload

mpl.use("svg")

GREY, OURS, THEIRS = "#7d8590", "#2f81f7", "#9aa4af"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and found by a search
    "svg.hashsalt": "mpmagic",  # the same file from the same numbers
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
QUIET = {"Date": None, "Creator": None}


def ratios(measured: Sequence[tuple[Workload, Record]], path: Path) -> None:
    """Everyone's time as a multiple of mpmagic's, a panel for each step of each workload."""
    import matplotlib.pyplot as plt

    panels = [(w, r, label) for w, r in measured for label in r.labels() if _compared(r, label)]
    if not panels:
        return
    rows = -(-len(panels) // 3)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(rows, 3, figsize=(9, 2.2 * rows + 0.4), squeeze=False)
        for axis, panel in zip(axes.flat, panels, strict=False):
            _panel(axis, *panel)
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_axis_off()
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata=QUIET)
        plt.close(figure)


def _compared(record: Record, label: str) -> bool:
    names = {name for name, step in record.seconds if step == label}
    return MPMAGIC.name in names and len(names) > 2  # else the table says it as well


def _panel(axis: Any, workload: Workload, record: Record, label: str) -> None:
    able = [p for p in workload.peers if not math.isnan(record.median(p, label))]
    able.sort(key=lambda peer: record.median(peer, label), reverse=True)
    colours = {MPMAGIC: OURS, SERIAL: GREY}
    times = [record.median(peer, label) for peer in able]
    wrong = ["" if p.name not in record.failures else " (wrong)" for p in able]
    names = [peer.name + mark for peer, mark in zip(able, wrong, strict=True)]
    axis.barh(names, times, color=[colours.get(peer, THEIRS) for peer in able], height=0.7)
    for row, seconds in enumerate(times):
        axis.text(seconds, row, f" {duration(seconds)}", va="center", fontsize=6)
    axis.set_xscale("log")
    axis.set_xlim(min(times) / 2, max(times) * 6)
    axis.set_title(workload.name + ("" if label == "time" else f", {label}"), fontsize=9)
    axis.tick_params(axis="y", labelsize=6.5, length=0)
    axis.xaxis.set_visible(False)  # the numbers stand on the bars


def growth(found: Sequence[Curve], path: Path) -> None:
    """A panel for each thing that grows."""
    import matplotlib.pyplot as plt

    panels = [(along, list(curves)) for along, curves in groupby(found, lambda c: c.along)]
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=(9, 2.6), squeeze=False)
        for axis, (along, curves) in zip(axes.flat, panels, strict=True):
            for curve, colour in zip(curves, (OURS, THEIRS, GREY), strict=False):
                axis.plot(
                    *zip(*curve.points, strict=True), "o-", ms=3, color=colour, label=curve.name
                )
            scale = "linear" if along == "workers" else "log"
            axis.set(xscale=scale, yscale=scale, xlabel=along, ylabel="seconds")
            axis.set_ylim(0 if scale == "linear" else None)
            axis.minorticks_off()
            axis.legend(frameon=False, fontsize=7)
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata=QUIET)
        plt.close(figure)
