"""Colours of a terminal, where there are any."""

from __future__ import annotations

import enum
import os
import re
import sys
from typing import Any

from mpmagic.cell.listing import Explanation, Line

__all__ = ["Colour", "coloured", "has_colours", "painted"]


class Colour(enum.Enum):
    """What every terminal has, readable on light and on dark: its own hues, no shades of grey."""

    BOLD = "1"
    FAINT = "2"
    RED = "31"
    GREEN = "32"
    BLUE = "34"
    CYAN = "36"


_MARKS = {
    "work": Colour.BLUE,
    "prepare": Colour.CYAN,
    "commit": Colour.GREEN,
    "kernel": Colour.FAINT,
}


def has_colours(shell: Any) -> bool:
    """Whether text that a shell shows may be coloured.

    A kernel's front end shows colours wherever it shows tracebacks; a terminal does unless it is
    none, calls itself dumb, or its user doesn't want them (``NO_COLOR``, ``%colors nocolor``).
    """
    if str(shell.colors).lower() == "nocolor" or os.environ.get("NO_COLOR"):
        return False
    if hasattr(shell, "kernel"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, *colours: Colour) -> str:
    """The text in a colour; nothing stays coloured behind it."""
    codes = ";".join(colour.value for colour in colours)
    return f"\x1b[{codes}m{text}\x1b[0m" if text and codes else text


def coloured(explanation: Explanation) -> str:
    """The text of an explanation, character by character, in colours."""
    parts = [
        _with_code(explanation.before),
        "\n".join(map(_line, explanation.lines, explanation.listing.split("\n"))),
        _with_code(explanation.after),
    ]
    return "\n\n".join(part for part in parts if part)


def _line(line: Line, row: str) -> str:
    """A row of the listing, of which the columns are known: the mark first, the reason last."""
    mark, rest = row[: len(line.mark)], row[len(line.mark) :]
    reason = f"# {line.reason}" if line.reason else ""
    code = rest.removesuffix(reason)
    if line.text.startswith("%"):
        return painted(row, Colour.FAINT)
    kind = _MARKS.get(line.mark)
    shown = painted(mark, Colour.BOLD, kind) if kind else mark
    return shown + code + painted(reason, *([kind] if kind else []))


def _with_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", lambda found: painted(found[0], Colour.BOLD), text)
