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
    "commit": "in the kernel, in the order of the loop",
    "kernel": "in the kernel, as without the magic",
}

_RULES: Final = (
    f"{SCOPE} .listing{{display:block;overflow-x:auto;line-height:1.6}}"
    f"{SCOPE} .listing td{{vertical-align:top;padding:0 14px 0 0}}"
    f"{SCOPE} .listing code{{white-space:pre}}"
    f"{SCOPE} .listing .mark{{padding-left:10px;border-left:3px solid transparent;"
    "font-weight:600;font-size:12px;line-height:inherit}"
    f"{SCOPE} .listing .num{{font-family:var(--mp-mono);color:var(--mp-faint)}}"
    f"{SCOPE} .listing .why{{white-space:normal;min-width:20em;padding-left:14px;"
    "border-left:1px solid var(--mp-line)}"
    f"{SCOPE} .listing .magic code,{SCOPE} .listing .magic span{{color:var(--mp-faint);"
    "font-weight:normal;font-style:normal}"
    f"{SCOPE} .said{{margin:8px 0 0 13px;max-width:80em}}"
    f"{SCOPE} .key{{margin-right:2em;white-space:nowrap}}"
)


def _mark_rules(mark: str) -> str:
    colour = f"var(--mp-{mark})"
    word = f"color-mix(in srgb,{colour} 72%,var(--mp-text))"
    rules = f"{SCOPE} .{mark} .mark,{SCOPE} .key .{mark}{{color:{word}}}"
    if mark == "kernel":
        return rules
    return (
        f"{rules}{SCOPE} .listing .{mark} td{{background:color-mix(in srgb,{colour} 9%,"
        f"transparent)}}{SCOPE} .listing .{mark} .mark{{border-left-color:{colour}}}"
    )


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
        rules = RULES + _RULES + "".join(map(_mark_rules, _MEANINGS))
        return wrapped("".join(self._parts()), rules=rules)

    def _parts(self) -> Iterator[str]:
        explanation = self._explanation
        if explanation.before and not self._alone:
            yield _paragraph(explanation.before)
        source = "\n".join(line.text for line in explanation.lines)
        rows = map(_row, explanation.lines, highlighted(source))
        yield f'<table class="listing"><tbody>{"".join(rows)}</tbody></table>'
        if explanation.after and not self._alone:
            yield _paragraph(explanation.after)
        yield f'<p class="said faint">{_key(explanation)}</p>'


def marked_up(text: str) -> str:
    """Text as HTML: what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _paragraph(text: str) -> str:
    return f'<p class="said">{marked_up(text).replace(chr(10), "<br>")}</p>'


def _row(line: Line, code: str) -> str:
    kind = line.mark or ("magic" if line.text.startswith("%") else "")
    return (
        f'<tr class="{kind}"><td class="mark">{line.mark}</td><td class="num">{line.number}</td>'
        f'<td><code>{code}</code></td><td class="why">{marked_up(line.reason)}</td></tr>'
    )


def _key(explanation: Explanation) -> str:
    """What the marks that occur mean."""
    there = {line.mark for line in explanation.lines}
    return "".join(
        f'<span class="key"><b class="{mark}">{mark}</b> {meaning}</span> '
        for mark, meaning in _MEANINGS.items()
        if mark in there
    )
