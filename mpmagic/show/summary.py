"""The one line under a parallel cell, and the table of workers."""

from __future__ import annotations

import html
from collections.abc import Sequence

from mpmagic.pool import WorkerStatus
from mpmagic.run.options import CallsReport, RunReport

__all__ = ["Summary", "WorkerTable"]


class Summary:
    """What became of a cell's loops and calls, in one line.

    Parameters
    ----------
    report
        The run's report.
    workers
        How many workers there were.
    """

    def __init__(self, report: RunReport, workers: int) -> None:
        self._report = report
        self._workers = workers

    def __repr__(self) -> str:
        parts = []
        loops = self._report.loops
        if loops:
            wall = sum(loop.wall for loop in loops)
            work = sum(loop.work for loop in loops)
            count = sum(loop.iterations for loop in loops)
            speed = f", {work / wall:.1f}x the work's own time" if wall > 0.01 else ""
            parts.append(f"{count:,} iterations in {wall:.2f} s on {self._workers} workers{speed}")
        parts += [_calls(report, self._workers) for report in self._report.calls if report.calls]
        for line, reason in self._report.stayed:
            parts.append(f"the loop in line {line} ran in the kernel: {reason}")
        for line, reason in self._report.kept:
            parts.append(f"the call in line {line} ran in the kernel: {reason}")
        if self._report.serial:
            parts.append(f"the cell ran in the kernel: {self._report.serial}")
        return "%%parallel: " + "; ".join(parts)

    def _repr_html_(self) -> str:
        style = "color: var(--jp-ui-font-color2, currentColor); font-size: 90%"
        return f'<span style="{style}">{html.escape(repr(self))}</span>'


def _calls(report: CallsReport, workers: int) -> str:
    what = "1 call" if report.calls == 1 else f"{report.calls} calls"
    beside = "" if report.beside else ", one after the other,"
    speed = f", {report.work / report.wall:.1f}x the work's own time" if report.wall > 0.01 else ""
    return f"{what}{beside} in {report.wall:.2f} s on {workers} workers{speed}"


class WorkerTable:
    """The pool's workers, a row each.

    Parameters
    ----------
    workers
        Their states.
    """

    _HEAD = ("pid", "state", "doing", "for", "tasks", "memory", "restarts")

    def __init__(self, workers: Sequence[WorkerStatus]) -> None:
        self._rows = [_row(worker) for worker in workers]

    def __repr__(self) -> str:
        if not self._rows:
            return "no workers: the pool starts with the first parallel cell"
        table = [self._HEAD, *self._rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self._HEAD))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in table]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        if not self._rows:
            return html.escape(repr(self))
        head = "".join(f"<th>{name}</th>" for name in self._HEAD)
        rows = (
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
            for row in self._rows
        )
        return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _row(worker: WorkerStatus) -> tuple[str, ...]:
    return (
        str(worker.pid or ""),
        worker.state.value,
        worker.label,
        f"{worker.since:.1f} s",
        str(worker.done),
        f"{worker.rss / 1e6:.0f} MB" if worker.rss else "",
        str(worker.restarts),
    )
