"""Bars: lines per interval, per group or per file; as text, as SVG and with matplotlib."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from mpmagic.count.clock import NO_YEAR

if TYPE_CHECKING:
    from mpmagic.count.counts import Counts

__all__ = ["html_bars", "plot", "series", "svg_histogram", "text_bars"]

_SHOWN = 25
_WIDTH = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"
Series = list[tuple[str, int]]


def series(counts: Counts) -> Series:
    """Give what is drawn: intervals in order, else groups, the most frequent first."""
    if counts.timed:
        form = _form(list(counts.times))
        return [(time.strftime(form), number) for time, number in counts.times.items()]
    return list(counts.groups.items())


def text_bars(bars: Series, *, ordered: bool) -> str:
    """Draw one line per bar. Of too many in order neighbours are shown as one."""
    bars, note = _fewer(bars, ordered=ordered)
    most = max((number for _, number in bars), default=0) or 1
    names = max((len(name) for name, _ in bars), default=0)
    width = len(f"{most:,}")
    lines = [f"{name:<{names}}  {number:>{width},}  {_bar(number / most)}" for name, number in bars]
    return "\n".join(line.rstrip() for line in [*lines, *note])


def html_bars(bars: Series) -> str:
    """Write a table of groups; each number's bar is a `meter`, which needs no style."""
    bars, note = _fewer(bars, ordered=False)
    most = max((number for _, number in bars), default=0) or 1
    rows = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td>"
        f"<td style='text-align:right'>{number:,}</td>"
        f"<td><meter value='{number}' max='{most}'></meter></td></tr>"
        for name, number in bars
    )
    rest = "".join(f"<p>{escape(text)}</p>" for text in note)
    return f"<table style='color: var(--jp-content-font-color1, currentColor)'>{rows}</table>{rest}"


def svg_histogram(bars: Series) -> str:
    """Draw lines per interval as inline SVG in the notebook's colours."""
    if not bars:
        return ""
    most = max(number for _, number in bars)
    step = min(24.0, 640 / len(bars))
    rects = "".join(
        f"<rect x='{at * step:.2f}' y='{100 - 100 * number / most:.2f}' "
        f"width='{max(0.5, step - 1):.2f}' height='{100 * number / most:.2f}'>"
        f"<title>{escape(name)}: {number:,}</title></rect>"
        for at, (name, number) in enumerate(bars)
    )
    width = max(step * len(bars), 240)
    return (
        f"<svg viewBox='0 0 {width:.0f} 130' width='{width:.0f}' height='130' "
        "style='color: var(--jp-content-font-color1, currentColor)'>"
        f"<g fill='var(--jp-brand-color1, currentColor)'>{rects}</g>"
        "<g fill='currentColor' font-size='11'>"
        f"<text x='0' y='115'>{escape(bars[0][0])}</text>"
        f"<text x='{width:.0f}' y='128' text-anchor='end'>{escape(bars[-1][0])}</text>"
        f"<text x='{width:.0f}' y='115' text-anchor='end'>at most {most:,}</text></g></svg>"
    )


def plot(counts: Counts, ax: Any = None) -> Any:
    """Draw with matplotlib and give the axes."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    bars = series(counts) or [(path, record.lines) for path, record in counts.items()]
    if counts.timed:
        times = counts.times
        ax.step(list(times), list(times.values()), where="post")
    else:
        names, numbers = [name for name, _ in bars], [number for _, number in bars]
        ax.barh(names[:_SHOWN][::-1], numbers[:_SHOWN][::-1])
    ax.set_ylabel("lines" if counts.timed else "")
    return ax


def _fewer(bars: Series, *, ordered: bool) -> tuple[Series, list[str]]:
    if len(bars) <= _SHOWN:
        return bars, []
    if not ordered:
        rest = sum(number for _, number in bars[_SHOWN:])
        return bars[:_SHOWN], [f"… and {len(bars) - _SHOWN:,} more with {rest:,} lines"]
    size = -(-len(bars) // _SHOWN)
    merged = [
        (bars[at][0], sum(number for _, number in bars[at : at + size]))
        for at in range(0, len(bars), size)
    ]
    return merged, [f"(each row is {size} intervals)"]


def _bar(share: float) -> str:
    eighths = round(share * _WIDTH * 8)
    return _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _form(times: list[datetime]) -> str:
    """Leave out of the times what none of them has: a year, seconds, the time of day."""
    day = "%m-%d" if any(time.year == NO_YEAR for time in times) else "%Y-%m-%d"
    if all(time.time() == datetime.min.time() for time in times):
        return day
    return f"{day} %H:%M" if all(time.second == 0 for time in times) else f"{day} %H:%M:%S"
