"""`--timeline`: which worker ran what when, as a picture and as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from mpmagic.run.observer import Begun, Committed, Observer, Returned
from mpmagic.show.lanes import Doing, Lane, Loop, Shares, lanes_of
from mpmagic.show.quantities import counted, duration
from mpmagic.show.style import CLASS, wrapped
from mpmagic.show.svg import RULES, drawn

__all__ = ["Timeline"]

_COLUMNS: Final = 60
_MARKS: Final = {Doing.WORK: "█", Doing.COMMIT: "█", Doing.TRANSFER: "▒", Doing.IDLE: "·"}


class Timeline(Observer):
    """Keeps what happens in a cell, and draws it.

    Attributes
    ----------
    loops
        The loops and groups of calls that were reached, in order.
    """

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self._running: dict[int, Loop] = {}

    # -- what happens ----------------------------------------------------------------------------

    def begun(self, what: Begun) -> None:
        loop = self._running[what.line] = Loop(what, what.at)
        self.loops.append(loop)

    def returned(self, chunk: Returned) -> None:
        loop = self._running[chunk.line]
        loop.chunks.append(chunk)
        loop.ended = max(loop.ended, chunk.arrived)

    def committed(self, chunk: Committed) -> None:
        loop = self._running[chunk.line]
        loop.commits.append(chunk)
        loop.ended = max(loop.ended, chunk.ended)

    def ended(self, line: int, at: float) -> None:
        self._running[line].ended = at

    # -- how it looks ----------------------------------------------------------------------------

    @property
    def span(self) -> float:
        """Seconds from the first loop's begin to the last one's end."""
        if not self.loops:
            return 0.0
        return max(loop.ended for loop in self.loops) - self.loops[0].begun.at

    def __repr__(self) -> str:
        if not self.loops:
            return _NOTHING
        lanes, span = lanes_of(self.loops), self.span
        width = max(len(lane.name) for lane in lanes)
        lines = [
            f"{lane.name:<{width}} ▕{_strip(lane, span)}▏ {_told(lane, span)}" for lane in lanes
        ]
        axis = f"{'':<{width}}  0 s{duration(span):>{_COLUMNS - 3}}"
        return "\n".join([*lines, axis, f"{'':<{width}}  {_LEGEND}"])

    def _repr_html_(self) -> str:
        if not self.loops:
            return wrapped(escape(_NOTHING))
        lanes, span = lanes_of(self.loops), self.span
        return wrapped(
            drawn(self.loops, lanes, span) + _legend(lanes, span) + _details(lanes, span),
            rules=RULES + _RULES,
        )


_NOTHING: Final = "no timeline: no loop of the cell was split"
_LEGEND: Final = "█ work, and commits in the kernel   ▒ transfer   · idle"
_RULES: Final = f".{CLASS} details summary{{cursor:pointer;color:var(--mp-faint)}}"


def _strip(lane: Lane, span: float) -> str:
    """One character for each stretch of time: what took most of it."""
    step = span / _COLUMNS or 1.0
    spent: list[dict[Doing, float]] = [{} for _ in range(_COLUMNS)]
    for act in lane.acts:
        first = max(0, int(act.began / step))
        for column in range(first, min(_COLUMNS, int(act.ended / step) + 1)):
            inside = min(act.ended, (column + 1) * step) - max(act.began, column * step)
            spent[column][act.doing] = spent[column].get(act.doing, 0.0) + max(0.0, inside)
    return "".join(_MARKS[_most(column, step)] for column in spent)


def _most(spent: dict[Doing, float], step: float) -> Doing:
    everything = spent | {Doing.IDLE: step - sum(spent.values())}
    return max(everything, key=everything.__getitem__)


def _told(lane: Lane, span: float) -> str:
    shares = lane.shares(span)
    return str(shares) if lane.pid else f"{duration(shares.work)} of commits"


def _legend(lanes: Sequence[Lane], span: float) -> str:
    workers = lanes[1:]
    where = f"{duration(span)} on {counted(len(workers), 'worker')}"
    text = f"{where}: {Shares.sum(lane.shares(span) for lane in workers)}"
    marks = "tall: work, and commits in the kernel; low: transfer; empty: idle"
    return f'<div class="faint">{escape(text)} ({marks})</div>'


def _details(lanes: Sequence[Lane], span: float) -> str:
    """The numbers as text: a notebook that isn't trusted shows no picture."""
    head = "".join(f'<th class="num">{name}</th>' for name in _HEAD)
    rows = "".join(
        f"<tr><td>{escape(lane.name)}</td>"
        + "".join(f'<td class="num">{cell}</td>' for cell in _cells(lane, span))
        + "</tr>"
        for lane in lanes
    )
    table = f"<table><tr><th></th>{head}</tr>{rows}</table>"
    return f"<details><summary>numbers</summary>{table}</details>"


_HEAD: Final = ("process", "chunks", "work", "transfer", "idle")


def _cells(lane: Lane, span: float) -> list[str]:
    shares = lane.shares(span)
    times = (shares.work, shares.transfer, shares.idle)
    return [str(lane.pid or ""), f"{lane.chunks:,}", *map(duration, times)]
