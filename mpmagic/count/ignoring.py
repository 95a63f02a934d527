"""The rules of a `.gitignore` file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

__all__ = ["Ignores"]


@dataclass(frozen=True, slots=True)
class _Rule:
    matches: re.Pattern[str]
    keeps: bool
    folders_only: bool


class Ignores:
    """What the `.gitignore` files say from the top of a tree down to one folder.

    Parameters
    ----------
    folder : str
        The folder whose own `.gitignore`, if it has one, comes on top.
    outer : Ignores, optional
        Those of the folder above.
    """

    def __init__(self, folder: str, outer: Ignores | None = None) -> None:
        self._prefix = len(folder) + 1
        self._outer = outer
        self._rules = [rule for line in _lines(folder) if (rule := _rule(line)) is not None]

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether a file or folder below is to be left out."""
        verdict = self._verdict(path, is_folder)
        return bool(verdict)

    def _verdict(self, path: str, is_folder: bool) -> bool | None:
        """The last rule that matches decides, and one further down the tree before one above."""
        inner = path[self._prefix :].replace(os.sep, "/")
        for rule in reversed(self._rules):
            if (is_folder or not rule.folders_only) and rule.matches.fullmatch(inner):
                return not rule.keeps
        return self._outer._verdict(path, is_folder) if self._outer is not None else None


def _lines(folder: str) -> list[str]:
    try:
        with open(f"{folder}{os.sep}.gitignore", encoding="utf-8", errors="replace") as file:
            return file.read().split("\n")
    except OSError:  # there is none
        return []


def _rule(line: str) -> _Rule | None:
    line = line.removesuffix("\r")
    line = re.sub(r"(?<!\\) +$", "", line)
    if not line or line.startswith("#"):
        return None
    keeps = line.startswith("!")
    line = line.removeprefix("!")
    folders_only = line.endswith("/")
    line = line.removesuffix("/")
    # A pattern with a slash in it is meant from here, another one anywhere below.
    anywhere = "" if "/" in line else "(?:.*/)?"
    return _Rule(re.compile(anywhere + _translate(line.removeprefix("/"))), keeps, folders_only)


_TOKENS = re.compile(r"(?:^|(?<=/))\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _translate(pattern: str) -> str:
    return "".join(_token(part) for part in _TOKENS.findall(pattern))


def _token(part: str) -> str:
    if part == "**/":
        return "(?:.*/)?"
    if part == "/**":
        return "/.*"
    if part.startswith("*"):
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if len(part) > 2 and part.startswith("["):
        inner = part[1:-1].replace("\\", "\\\\")
        return f"(?!/)[^{inner[1:]}]" if inner[0] in "!^" else f"(?!/)[{inner}]"
    return re.escape(part.removeprefix("\\") or part)
