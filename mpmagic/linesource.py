"""The source of a line magic that takes an expression: its options, its place, and its tree."""

from __future__ import annotations

import argparse
import ast
import linecache
import re
import sys
import types
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mpmagic.cellsource import parsed
from mpmagic.celltext import keep_text

if TYPE_CHECKING:
    from mpmagic.cell.compiled import Warned

__all__ = ["Place", "placed_line", "split_options", "tree_of"]

_FLAG: Final = re.compile(r"\s*(-\S+)")
_VALUE: Final = re.compile(r"""\s*("[^"]*"|'[^']*'|\S+)""")
_CALL: Final = "get_ipython().run_line_magic('parallel', "


class Place(NamedTuple):
    """Where a line magic stands.

    Attributes
    ----------
    filename
        Of the cell.
    line, column
        Where its expression begins; the column counts bytes.
    text
        The cell, with that line as it stands in the notebook.
    """

    filename: str
    line: int
    column: int
    text: str


def split_options(parser: argparse.ArgumentParser, line: str) -> tuple[str, str]:
    """The options at the head of a line, and the expression behind them.

    A word is an option only if the magic has such a one, or if it begins with two dashes: an
    expression may begin with a minus. ``--`` ends the options.
    """
    end = 0
    while (found := _FLAG.match(line, end)) is not None:
        word = found[1]
        if word == "--":
            return line[:end], line[found.end() :].strip()
        action = _meant(parser, word)
        if action is None and not re.match(r"--[a-z]", word):
            break
        end = found.end()
        alone = action is not None and action.nargs != 0 and word in _spellings(parser, action)
        if alone and (value := _VALUE.match(line, end)) is not None:
            end = value.end()
    return line[:end], line[end:].strip()


def _meant(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """The option that a word stands for, if it stands for one."""
    flag = word.partition("=")[0]
    if re.fullmatch(r"-n\d+", flag):
        flag = "-n"
    fitting = [a for a in parser._actions if flag in _spellings(parser, a)]
    return fitting[0] if fitting else None


def _spellings(parser: argparse.ArgumentParser, action: argparse.Action) -> set[str]:
    """The flags of an option, and what may be left of the long ones."""
    flags = [flag for other in parser._actions for flag in other.option_strings]
    found = set(action.option_strings)
    for flag in action.option_strings:
        for end in range(3, len(flag) if flag.startswith("--") else 0):
            if sum(other.startswith(flag[:end]) for other in flags) == 1:
                found.add(flag[:end])
    return found


def placed_line(shell: Any, line: str, expression: str) -> Place:
    """Where the magic stands that is running.

    Raises
    ------
    NotParallel
        If that is in a function: workers know the notebook's names only.
    """
    frame = _calling(shell)
    if frame is None:
        text = f"%parallel {line}"
        filename = shell.compile.cache(text, shell.execution_count)
        return _at(filename, 1, text, expression)
    if frame.f_locals is not frame.f_globals:
        from mpmagic.errors import NotParallel

        raise NotParallel(
            f"line {frame.f_lineno}: `%parallel` stands in `{frame.f_code.co_name}`, whose own "
            f"names the workers can't see. Put it at the top level of a cell. Nothing of it ran."
        )
    filename, number = frame.f_code.co_filename, frame.f_lineno
    lines = [one.rstrip("\n") for one in linecache.getlines(filename)]
    lines += [""] * (number - len(lines))
    before, called, _ = lines[number - 1].partition(_CALL)
    if called:
        lines[number - 1] = f"{before}%parallel {line}"
    return _at(filename, number, "\n".join(lines), expression)


def _calling(shell: Any) -> types.FrameType | None:
    """The frame of the notebook's that calls the magic."""
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        known = frame.f_code.co_filename in shell.compile._filename_map
        if known and frame.f_globals is shell.user_ns:
            return frame
        frame = frame.f_back
    return None


def _at(filename: str, number: int, text: str, expression: str) -> Place:
    line = text.split("\n")[number - 1]
    column = max(line.rfind(expression), 0)
    return Place(filename, number, len(line[:column].encode()), text)


def tree_of(shell: Any, expression: str, place: Place) -> tuple[ast.Module, Warned]:
    """The expression as a statement at its place, and what the compiler warns of in it.

    Raises
    ------
    UsageError
        If it's a statement of another kind.
    """
    from IPython.core.error import UsageError

    keep_text(place.filename, place.text)
    tree, warned = parsed(shell, expression, place.filename, place.line - 1)
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        raise UsageError(
            "%parallel: takes one expression, such as `[f(x) for x in xs]`; for statements put "
            "`%%parallel` on top of the cell"
        )
    for node in ast.walk(tree):
        if hasattr(node, "col_offset"):
            _shift(node, place)
    return tree, warned


def _shift(node: Any, place: Place) -> None:
    """Move a node of the expression's first line to where that stands in the notebook."""
    if node.lineno == place.line:
        node.col_offset += place.column
    if node.end_lineno == place.line:
        node.end_col_offset += place.column
