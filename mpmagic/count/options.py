"""What can be written behind `%mpcount` and behind `python -m mpmagic.count`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final, NoReturn

from mpmagic.helppage import HelpPage

if TYPE_CHECKING:
    from mpmagic.count.follow import Follower

__all__ = ["OptionError", "arguments_of", "follower_of", "new_parser"]


_DESCRIPTION: Final = """
Count the lines of files of any size, on all cores, as Python's iteration over them gives
lines. Compressed files, directories with -r, globs and URLs are read too. The result is an
int, a mapping from path to what is known of that file, a table and a chart.
"""

_EXAMPLES: Final = """
Examples:

    {prog} web.log
    {prog} "logs/**/*.gz" --match " 5[0-9][0-9] "
    {prog} web.log --by "^(GET|POST)"
    {prog} web.log --by-time 1h
    {prog} -r src --include "*.py" --blank
"""


class OptionError(Exception):
    """An option that doesn't exist, or a value that it can't have."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}\n{self.format_usage()}".rstrip())


def new_parser(prog: str) -> argparse.ArgumentParser:
    """Make the parser. It raises `OptionError` instead of leaving the interpreter."""
    parser = _Parser(
        prog=prog,
        add_help=False,
        allow_abbrev=False,
        description=_DESCRIPTION.strip("\n"),
        epilog=_EXAMPLES.strip("\n").format(prog=prog),
        formatter_class=HelpPage,
    )
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="a file, a glob such as logs/**/*.log, a URL")
    add("--match", action="append", metavar="REGEX", help="lines that match; may be repeated")
    add("-i", "--ignore-case", action="store_true", help="let case not matter")
    add("-v", "--invert", action="store_true", help="lines that match nothing of it")
    add("--fixed", action="store_true", help="take --match for literals")
    add("--by", metavar="REGEX", help="lines by what the first group captures")
    add("--by-time", metavar="INTERVAL", help="lines per 10s, 5m, 1h, 1d by their timestamps")
    add("-r", "--recursive", action="store_true", help="count what is in directories and below")
    add("--include", action="append", metavar="GLOB", help="with -r: only files of such names")
    add("--exclude", action="append", metavar="GLOB", help="with -r: no such files and folders")
    add("--skip-hidden", action="store_true", help="with -r: nothing whose name begins with a dot")
    add("--gitignore", action="store_true", help="with -r: nothing that a .gitignore names")
    for flags, column, text in _COLUMNS:
        add(*flags, dest="columns", action="append_const", const=column, help=text)
    add("--universal", action="store_true", help="a lone carriage return ends a line too")
    add("--raw", action="store_true", help="count compressed files and UTF-16 as bytes")
    add("--fresh", action="store_true", help="read all, of files that were counted before too")
    add("--follow", action="store_true", help="count on while the files grow, until interrupted")
    add("-n", "--threads", type=_positive, metavar="N", help="threads, by default one per core")
    if prog.startswith("%"):
        add("--on", metavar="ENGINE", help="what searches large files, as of %%%%parallel")
    add("-h", "--help", action="store_true", help="show this text")
    return parser


_COLUMNS = (
    (["-w", "--words"], "words", "words too"),
    (["-m", "--chars"], "chars", "characters (of UTF-8) too"),
    (["-c", "--bytes"], "bytes", "the exact number of bytes too"),
    (["-L", "--longest"], "longest", "the length of the longest line too, in characters"),
    (["--blank"], "blank", "blank lines too"),
    (["--records"], "records", "CSV records too: newlines within quotes end none"),
)


_NO_ARGUMENTS = ("paths", "help", "follow", "on")
_SELECTING = ("recursive", "include", "exclude", "skip_hidden", "gitignore")


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """Turn parsed options into the keyword arguments of `count_lines`."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    return {name: value for name, value in given.items() if name not in _NO_ARGUMENTS}


def follower_of(paths: list[Any], options: argparse.Namespace) -> Follower:
    """Make what ``--follow`` runs of parsed options."""
    from mpmagic.count.asking import query_of, selection_of
    from mpmagic.count.follow import Follower

    given = arguments_of(options)
    given.pop("threads", None)
    chosen = {name: given.pop(name) for name in _SELECTING if name in given}
    return Follower(paths, query_of(**given), selection_of(**chosen))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, not {text!r}")
    return int(text)
