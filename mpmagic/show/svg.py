"""A timeline as inline SVG, with a title on everything that the pointer can rest on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from mpmagic.show.lanes import Act, Doing, Lane, Loop
from mpmagic.show.quantities import duration
from mpmagic.show.style import CLASS, WORKER_COLOURS

__all__ = ["RULES", "drawn"]

_LEFT, _PLOT, _RIGHT = 76, 720, 64
_LANE, _BAR, _TOP = 24, 16, 26
_HAIR: Final = 0.35
"""Gaps and bars that are narrower can't be seen apart."""


@dataclass(slots=True)
class _Box:
    """A rectangle: one act, or several that are too close to be told apart."""

    doing: Doing
    left: float
    right: float
    told: str
    acts: int = 1


def drawn(loops: Sequence[Loop], lanes: Sequence[Lane], span: float) -> str:
    """The picture.

    Parameters
    ----------
    loops
        The loops, whose begins are marked.
    lanes
        The processes, from top to bottom.
    span
        Seconds from the left edge to the right one.
    """
    height = _TOP + _LANE * len(lanes)
    width = _LEFT + _PLOT + _RIGHT
    start = loops[0].begun.at
    body = [
        *_grid(span, height),
        *_loops([(loop.begun.line, loop.begun.at - start) for loop in loops], span, height),
        *(part for row, lane in enumerate(lanes) for part in _lane(lane, row, span)),
    ]
    return (
        f'<svg class="timeline" viewBox="0 0 {width} {height + 22}" role="img" '
        f'aria-label="workers over time" xmlns="http://www.w3.org/2000/svg">{"".join(body)}</svg>'
    )


def _lane(lane: Lane, row: int, span: float) -> Iterator[str]:
    top = _TOP + row * _LANE + (_LANE - _BAR) / 2
    middle = top + _BAR / 2 + 4
    colour = WORKER_COLOURS[(row - 1) % len(WORKER_COLOURS)] if row else "var(--mp-commit)"
    busy = lane.shares(span)
    share = busy.work / span if span else 0.0
    pid = f", process {lane.pid}" if lane.pid else ""
    told = f"{lane.name}{pid}: {duration(busy.idle)} idle"
    yield f'<text x="0" y="{middle:.1f}">{escape(lane.name)}</text>'
    yield (
        f'<rect class="idle" x="{_LEFT}" y="{top:.1f}" width="{_PLOT}" height="{_BAR}" rx="3">'
        f"<title>{escape(told)}</title></rect>"
    )
    yield f'<g fill="{colour}">'
    for box in _boxes(lane.acts, span):
        yield _rect(box, top)
    yield "</g>"
    yield (
        f'<text class="end" x="{_LEFT + _PLOT + _RIGHT}" y="{middle:.1f}">{share:.0%} busy</text>'
    )


def _rect(box: _Box, top: float) -> str:
    low, inset = ("low", 5.0) if box.doing is Doing.TRANSFER else ("", 0.0)
    width = max(box.right - box.left - _HAIR, 0.6)
    more = f" and {box.acts - 1:,} more" if box.acts > 1 else ""
    return (
        f'<rect class="{low}" x="{box.left:.2f}" y="{top + inset:.1f}" width="{width:.2f}" '
        f'height="{_BAR - 2 * inset:.1f}"><title>{escape(box.told + more)}</title></rect>'
    )


def _boxes(acts: Sequence[Act], span: float) -> list[_Box]:
    """The acts as rectangles, so few of them that a page can show them."""
    boxes: list[_Box] = []
    last: dict[Doing, _Box] = {}
    for act in acts:
        left, right = _x(act.began, span), _x(act.ended, span)
        before = last.get(act.doing)
        narrow = right - left < 3 * _HAIR
        if narrow and act.doing is Doing.TRANSFER and right - left < _HAIR:
            continue
        if before is not None and narrow and left - before.right < _HAIR:
            before.right, before.acts = max(before.right, right), before.acts + 1
            continue
        box = _Box(act.doing, left, right, act.told)
        boxes.append(box)
        last[act.doing] = box
    return boxes


def _grid(span: float, height: float) -> Iterator[str]:
    step = _step(span)
    for index in range(int(span / step) + 1):
        x = _x(index * step, span)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height}"/>'
        label = f"{index * step:g} s"
        yield f'<text class="tick" x="{x:.1f}" y="{height + 15}">{label}</text>'


def _loops(begins: Sequence[tuple[int, float]], span: float, height: float) -> Iterator[str]:
    """A mark where each loop begins, named where there's room."""
    free = 0.0
    for line, at in begins:
        x = _x(at, span)
        if x < free:
            continue
        free = x + 52
        yield f'<line class="begin" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height}"/>'
        yield f'<text x="{x + 4:.1f}" y="17">line {line}</text>'


def _x(seconds: float, span: float) -> float:
    share = min(1.0, max(0.0, seconds / span)) if span else 0.0
    return _LEFT + _PLOT * share


def _step(span: float) -> float:
    """A round number of seconds, so that there are five to twelve of them."""
    rough = max(span, 1e-6) / 6
    power: float = 10 ** math.floor(math.log10(rough))
    return next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough)


RULES: Final = (
    f".{CLASS} svg.timeline{{display:block;width:100%;max-width:{_LEFT + _PLOT + _RIGHT}px;"
    "height:auto;overflow:visible}"
    f".{CLASS} .timeline text{{fill:var(--mp-faint);font:11px var(--mp-sans);"
    "font-variant-numeric:tabular-nums}"
    f".{CLASS} .timeline .end{{text-anchor:end}}"
    f".{CLASS} .timeline .tick{{text-anchor:middle}}"
    f".{CLASS} .timeline .idle{{fill:var(--mp-fill)}}"
    f".{CLASS} .timeline .grid{{stroke:var(--mp-line);stroke-width:1}}"
    f".{CLASS} .timeline .begin{{stroke:var(--mp-faint);stroke-width:1;stroke-dasharray:2 3}}"
    f".{CLASS} .timeline .low{{opacity:.45}}"
    f".{CLASS} .timeline g rect:hover{{stroke:var(--mp-text);stroke-width:1;opacity:1}}"
)
