"""The help of a magic: what ``-h`` prints and what ``?`` opens, made of its parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["HelpPage", "documented_by"]

_Magic = TypeVar("_Magic", bound=Callable[..., Any])


class HelpPage(argparse.RawDescriptionHelpFormatter):
    """Lays help out as a docstring, however wide the terminal is."""

    def __init__(self, prog: str, **_: Any) -> None:
        super().__init__(prog, width=88, max_help_position=26)


def documented_by(parser: argparse.ArgumentParser) -> Callable[[_Magic], _Magic]:
    """Make a parser's help the docstring of a magic."""

    parser.color = False  # type: ignore[attr-defined]  # Python 3.14 asks the process's terminal

    def documented(magic: _Magic) -> _Magic:
        magic.__doc__ = parser.format_help()
        return magic

    return documented
