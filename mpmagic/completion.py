"""What Tab completes behind the magics: their options, and the names and words that these take."""

from __future__ import annotations

import argparse
import ast
import builtins
import keyword
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from mpmagic.background import BackgroundCell
from mpmagic.count.options import new_parser
from mpmagic.linesource import split_options
from mpmagic.options import commit_parser, expression_parser, parallel_parser, pool_parser

__all__ = ["Completion", "register"]

_PARSERS: Final[dict[str, Callable[[], argparse.ArgumentParser]]] = {
    "%%parallel": parallel_parser,
    "%parallel": expression_parser,
    "%mpcount": partial(new_parser, "%mpcount"),
    "%mppool": pool_parser,
    "%mpcommit": commit_parser,
}
_CALL: Final = re.compile(r"(?:^|=)\s*(%%?parallel|%mpcount|%mppool|%mpcommit)\s(.*)")
_NAME: Final = re.compile(r"(?<![\w.])[^\W\d]\w*")
_IDENTIFIER: Final = "mpmagic"
_OF_NAMES: Final = frozenset({"local", "private"})

Found = list[tuple[str, str]]
"""Texts, and what they are: front ends show a sign for it."""


class Completion:
    """Completes the line of a magic, for IPython's completer.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
        The shell, whose notebook has names.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    @context_matcher(identifier=_IDENTIFIER)  # type: ignore[untyped-decorator]
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Give what may stand at the cursor; elsewhere than behind a magic, nothing."""
        call = _CALL.search(context.text_until_cursor)
        if call is None or (call[1].startswith("%%") and context.cursor_line):
            return {"completions": [], "suppress": False}
        cell = context.full_text.partition("\n")[2] if call[1].startswith("%%") else ""
        parser = _PARSERS[call[1]]()
        if call[1] == "%parallel" and split_options(parser, call[2])[1].strip("-"):
            return {"completions": [], "suppress": False}  # it's in the expression
        begun, found = self._found(parser, call[2], cell)
        completions = [
            SimpleCompletion(text=text, type=kind) for text, kind in found if text.startswith(begun)
        ]
        return {
            "completions": completions,
            "suppress": bool(completions),
            "matched_fragment": begun,
        }

    def _found(self, parser: argparse.ArgumentParser, line: str, cell: str) -> tuple[str, Found]:
        """What may complete the last word of a magic's line, and of that word what counts."""
        *before, word = re.split(r"\s+", line)
        taking = _taking(parser, before[-1]) if before else None
        if taking is None and "=" in word:
            flag, _, word = word.partition("=")
            taking = _taking(parser, flag)
        if taking is None:
            if parser.prog == "%mpcommit" and not word.startswith("-"):
                return word, [(name, "instance") for name in self._background()]
            return word, _options(parser, before, begun=word)
        if taking.dest not in _OF_NAMES:
            return word, [(str(choice), "value") for choice in taking.choices or ()]
        *given, begun = word.split(",")
        return begun, [(n, "instance") for n in self._names(cell) if n not in given]

    def _background(self) -> list[str]:
        """The names of cells in the background."""
        notebook = dict(self._shell.user_ns)
        return [n for n, v in notebook.items() if isinstance(v, BackgroundCell) and n[0] != "_"]

    def _names(self, cell: str) -> Iterable[str]:
        """The names that a cell spells, in its order, but for Python's own; else the notebook's."""
        notebook = self._shell.user_ns
        if not cell.strip():
            return [name for name in notebook if name not in self._shell.user_ns_hidden]
        try:
            tree = ast.parse(self._shell.transform_cell(cell))
        except SyntaxError:  # it is still being written
            names = [n for n in _NAME.findall(cell) if not keyword.iskeyword(n)]
        else:
            names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        return dict.fromkeys(n for n in names if n in notebook or not hasattr(builtins, n))


def _taking(parser: argparse.ArgumentParser, flag: str) -> argparse.Action | None:
    """The option of that flag, if it takes a value."""
    for action in parser._actions:
        if flag in action.option_strings and action.nargs != 0:
            return action
    return None


def _options(parser: argparse.ArgumentParser, before: list[str], *, begun: str) -> Found:
    """The options that aren't there yet, and words that may stand alone.

    Where a file may be named, options are offered from their dash on: else they'd hide the files.
    """
    found: Found = []
    for action in parser._actions:
        if not action.option_strings:
            if action.choices is None and not begun.startswith("-"):
                return []
            found += [(str(choice), "value") for choice in action.choices or ()]
        elif not set(action.option_strings) & set(before) or _repeats(action):
            found += [(flag, "option") for flag in action.option_strings]
    return found


def _repeats(action: argparse.Action) -> bool:
    return isinstance(action, argparse._AppendAction)


def register(shell: Any) -> None:
    """Have a shell's completer ask, once also where the extension is loaded again."""
    matchers = shell.Completer.custom_matchers
    ours = (m for m in matchers if getattr(m, "matcher_identifier", "") == _IDENTIFIER)
    if next(ours, None) is None:
        matchers.append(Completion(shell).match)
