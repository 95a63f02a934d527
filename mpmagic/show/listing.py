"""A cell line by line, as HTML: where each line runs, and why."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

from mpmagic.cell.listing import Explanation, Line
from mpmagic.show.code import RULES, highlighted
from mpmagic.show.style import SCOPE, wrapped

__all__ = ["Listing", "marked_up"]

_MEANINGS: Final = {
    "work": "in the workers, several at once",
    "prepare": "in the kernel, ahead of the work",
    "commit": "in the kernel, in order",
    "kernel": "in the kernel, as ever",
}

_RULES: Final = (
    f"{SCOPE} .listing{{overflow-x:auto}}"
    f"{SCOPE} .listing table{{width:100%;line-height:1.7}}"
    f"{SCOPE} .listing td{{vertical-align:baseline;padding:0 14px 0 0}}"
    f"{SCOPE} .listing td code{{white-space:pre}}"
    f"{SCOPE} .listing .mark{{padding-left:10px;border-left:3px solid transparent;"
    "font-weight:600}"
    f"{SCOPE} .listing .num{{font-family:var(--mp-mono);color:var(--mp-faint)}}"
    f"{SCOPE} .listing .why{{white-space:normal;width:100%;min-width:14em;padding-left:16px}}"
    f"{SCOPE} .listing .magic :is(code,span){{color:var(--mp-faint);"
    "font-weight:normal;font-style:normal}"
    f"{SCOPE} .said{{margin:10px 0 0 13px;max-width:80em}}"
    f"{SCOPE} :is(.why,.said) code{{background:var(--mp-fill);border-radius:3px;padding:1px 4px}}"
    f"{SCOPE} .key{{margin-right:2em;white-space:nowrap}}"
)


def _mark_rules(kind: str, colour: str) -> str:
    """A word in the colour; of lines that aren't as without the magic, a tint and an edge too."""
    word = f"color-mix(in srgb,var(--mp-{colour}) 60%,var(--mp-text))"
    rules = f"{SCOPE} .{kind} .mark,{SCOPE} .key .{kind}{{color:{word}}}"
    if kind == "kernel":
        return rules
    return (
        f"{rules}{SCOPE} .{kind} td{{background:color-mix(in srgb,var(--mp-{colour}) 10%,"
        f"transparent)}}{SCOPE} .{kind} .mark{{border-left-color:var(--mp-{colour})}}"
    )


_COLOURS: Final = {
    "kernel": "kernel",
    "kept": "warn",
    "work": "work",
    "prepare": "prepare",
    "commit": "commit",
}
_STYLE: Final = RULES + _RULES + "".join(_mark_rules(*pair) for pair in _COLOURS.items())


class Listing:
    """An explanation as a notebook shows it.

    Parameters
    ----------
    explanation : Explanation
        What to show.
    alone : bool
        Leave out what is said above and below the lines: an error says it.
    """

    def __init__(self, explanation: Explanation, *, alone: bool = False) -> None:
        self._explanation = explanation
        self._alone = alone

    def __repr__(self) -> str:
        return self._explanation.listing if self._alone else str(self._explanation)

    def _repr_html_(self) -> str:
        return wrapped("".join(self._parts()), rules=_STYLE)

    def _parts(self) -> Iterator[str]:
        explanation = self._explanation
        if explanation.before and not self._alone:
            yield _paragraph(explanation.before)
        source = "\n".join(line.text for line in explanation.lines)
        rows = map(_row, explanation.lines, highlighted(source))
        yield f'<div class="listing"><table><tbody>{"".join(rows)}</tbody></table></div>'
        if explanation.after and not self._alone:
            yield _paragraph(explanation.after)
        yield _key(explanation)


def marked_up(text: str) -> str:
    """Text as HTML: what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _paragraph(text: str) -> str:
    return f'<p class="said">{marked_up(text).replace(chr(10), "<br>")}</p>'


def _row(line: Line, code: str) -> str:
    return (
        f'<tr class="{_kind(line)}"><td class="mark">{line.mark}</td>'
        f'<td class="num">{line.number}</td><td><code>{code}</code></td>'
        f'<td class="why">{marked_up(line.reason)}</td></tr>'
    )


def _kind(line: Line) -> str:
    """The class of a line; one that is kept in the kernel, with a reason, is to be seen."""
    if line.text.startswith("%"):
        return "magic"
    return "kernel kept" if line.mark == "kernel" and line.reason else line.mark


def _key(explanation: Explanation) -> str:
    """What the marks mean, where there is more than one."""
    there = {line.mark for line in explanation.lines} - {""}
    if len(there) < 2:
        return ""
    keys = (
        f'<span class="key"><b class="{mark}">{mark}</b> {meaning}</span> '
        for mark, meaning in _MEANINGS.items()
        if mark in there
    )
    return f'<p class="said faint">{"".join(keys)}</p>'
