"""`--profile`: where the time of the work went, by line of the cell."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from mpmagic.run.observer import Observer, Returned
from mpmagic.run.sampling import Place
from mpmagic.show.quantities import duration
from mpmagic.show.style import CLASS, wrapped

__all__ = ["Profile"]

_FUNCTIONS: Final = 12
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_WIDTH: Final = 12


class Profile(Observer):
    """Adds up what workers found out about their time.

    Parameters
    ----------
    text
        The cell as it stands in the notebook.
    named
        Gives what a file of a cell is called, such as ``cell 3``.

    Attributes
    ----------
    work
        Seconds of work in all.
    lines
        Seconds by line of the cell.
    places
        Seconds by line of the notebook's functions that the cell calls.
    """

    samples = True

    def __init__(self, text: str, named: Callable[[str], str] = str) -> None:
        self._text = text.splitlines()
        self._named = named
        self.work = 0.0
        self.lines: dict[int, float] = {}
        self.places: dict[Place, float] = {}

    def returned(self, chunk: Returned) -> None:
        self.work += chunk.timing.seconds
        for (line, place), seconds in chunk.samples.items():
            self.lines[line] = self.lines.get(line, 0.0) + seconds
            if place is not None:
                self.places[place] = self.places.get(place, 0.0) + seconds

    # -- how it looks ----------------------------------------------------------------------------

    def __repr__(self) -> str:
        if not self.lines:
            return self._nothing
        rows = [self._text_row(self._seconds(self.lines, n), f"{n:>3} {t}") for n, t in self._cell]
        shown = [
            self._text_row(seconds, f"{where}  {source}")
            for where, source, seconds in self._functions
        ]
        return "\n".join([self._head, *rows, *(["", _INSIDE, *shown] if shown else [])])

    def _repr_html_(self) -> str:
        if not self.lines:
            return wrapped(escape(self._nothing))
        rows = "".join(
            self._html_row(self._seconds(self.lines, number), str(number), text)
            for number, text in self._cell
        )
        shown = "".join(
            self._html_row(seconds, where, source) for where, source, seconds in self._functions
        )
        inside = f'<div class="faint">{_INSIDE}</div><table>{shown}</table>' if shown else ""
        head = f'<div class="faint">{escape(self._head)}</div>'
        return wrapped(f"{head}<table>{rows}</table>{inside}", rules=_RULES)

    @property
    def _head(self) -> str:
        return f"{duration(self.work)} of work in the workers, by line"

    @property
    def _nothing(self) -> str:
        if not self.work:
            return "no profile: no loop of the cell was split"
        return f"no profile: {duration(self.work)} of work are too little to see where it went"

    @property
    def _cell(self) -> list[tuple[int, str]]:
        return list(enumerate(self._text, 1))

    @property
    def _functions(self) -> list[tuple[str, str, float]]:
        """The lines inside functions that took longest: where, the source, seconds."""
        most = sorted(self.places.items(), key=lambda item: -item[1])[:_FUNCTIONS]
        return [
            (
                f"{place.function}, {self._named(place.filename)} line {place.line}",
                linecache.getline(place.filename, place.line).strip(),
                seconds * self._scale,
            )
            for place, seconds in most
        ]

    @property
    def _scale(self) -> float:
        """From what was seen to what there was: the end of a chunk is never seen."""
        return self.work / sum(self.lines.values())

    def _seconds(self, table: Mapping[int, float], line: int) -> float:
        return table.get(line, 0.0) * self._scale

    def _text_row(self, seconds: float, text: str) -> str:
        if not seconds:
            return f"{'':>{_WIDTH + 16}}{text}".rstrip()
        share = seconds / self.work
        eighths = round(share * _WIDTH * 8)
        bar = _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        return f"{duration(seconds):>9} {share:>4.0%} {bar:<{_WIDTH}} {text}".rstrip()

    def _html_row(self, seconds: float, where: str, source: str) -> str:
        share = seconds / self.work
        bar = f'<span class="share"><span style="width:{100 * share:.1f}%"></span></span>'
        spent = (f"{duration(seconds)}", f"{share:.0%}", bar) if seconds else ("", "", "")
        return (
            f'<tr><td class="num">{spent[0]}</td><td class="num">{spent[1]}</td>'
            f'<td>{spent[2]}</td><td class="num faint">{escape(where)}</td>'
            f'<td><code class="line">{escape(source)}</code></td></tr>'
        )


_INSIDE: Final = "inside the notebook's functions:"
_RULES: Final = (
    f".{CLASS} .line{{white-space:pre}}"
    f".{CLASS} .share{{display:block;width:90px;height:8px}}"
    f".{CLASS} .share span{{display:block;height:100%;min-width:1px;border-radius:2px;"
    "background:var(--mp-work)}"
)
