"""What can be written behind `%%parallel` and `%mppool`."""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import keyword
import math
import shlex
from collections.abc import Callable, Container, Iterable
from typing import Final, NoReturn

from IPython.core.error import UsageError

from mpmagic.helppage import HelpPage
from mpmagic.helptexts import (
    COMMIT,
    EXPRESSION,
    EXPRESSION_EXAMPLES,
    PARALLEL,
    PARALLEL_EXAMPLES,
    POOL,
    POOL_EXAMPLES,
)

__all__ = [
    "check_background",
    "check_each",
    "check_names",
    "commit_parser",
    "expression_parser",
    "parallel_parser",
    "parse",
    "pool_parser",
]

_WHAT: Final = "end the workers; start new ones; have these forget the cells of --each"

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class _Parser(argparse.ArgumentParser):
    """Options whose mistakes are shown as IPython shows them."""

    def __init__(self, prog: str, *, description: str, epilog: str) -> None:
        super().__init__(
            prog,
            add_help=False,
            description=description.strip("\n"),
            epilog=epilog.strip("\n"),
            formatter_class=HelpPage,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}\n{self.format_usage().strip()}")


@functools.cache
def parallel_parser() -> argparse.ArgumentParser:
    """The options of ``%%parallel``."""
    parser = _Parser("%%parallel", description=PARALLEL, epilog=PARALLEL_EXAMPLES)
    _add_options(parser.add_argument, "cell")
    parser.add_argument(
        "--each",
        action="store_true",
        help="run the cell once in every worker, where its names stay; only -n and -q go with it",
    )
    parser.add_argument(
        "--bg",
        type=_name,
        metavar="NAME",
        help="start the work of the first loop and go on; NAME.commit() does the rest of the cell",
    )
    return parser


@functools.cache
def expression_parser() -> argparse.ArgumentParser:
    """The options of ``%parallel``, which are those of ``%%parallel``."""
    parser = _Parser("%parallel", description=EXPRESSION, epilog=EXPRESSION_EXAMPLES)
    _add_options(parser.add_argument, "expression")
    parser.add_argument("expression", nargs="?", help="in one line")
    return parser


@functools.cache
def commit_parser() -> argparse.ArgumentParser:
    """The options of ``%mpcommit``."""
    parser = _Parser("%mpcommit", description=COMMIT, epilog="")
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="also if names of the loop aren't what they were when its work began",
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this text")
    parser.add_argument(
        "name", nargs="?", default="", help="which was given with %%%%parallel --bg"
    )
    return parser


def _add_options(add: Callable[..., object], what: str) -> None:
    add(
        "-n",
        "--workers",
        type=_positive,
        metavar="N",
        help="how many workers; more than the pool has grow it",
    )
    add(
        "--on",
        metavar="ENGINE",
        help="where the work runs: processes, threads, an executor or cluster of the notebook",
    )
    add("--chunk", type=_positive, metavar="N", help="iterations per chunk")
    add("--ahead", action="store_true", help=f"let work run that the {what} might have skipped")
    add(
        "--local",
        type=_names,
        default=(),
        metavar="NAMES",
        help="names of which each worker may keep its own",
    )
    add(
        "--private",
        type=_names,
        default=(),
        metavar="NAMES",
        help="names of which each iteration has a copy of its own",
    )
    add("--timeout", type=_seconds, metavar="S", help="seconds that an iteration's work may take")
    add(
        "--retries",
        type=_count,
        default=0,
        metavar="K",
        help="how often an iteration that fails is tried again",
    )
    add(
        "--keep-going",
        action="store_true",
        help="do without iterations that fail, and raise their exceptions at the loop's end",
    )
    add(
        "--resume",
        metavar="FILE",
        help=f"keep finished iterations there, and go on with them when the {what} runs again",
    )
    add("--seed", type=int, metavar="N", help="give each iteration random streams of its own")
    add("--or-serial", action="store_true", help=f"run the {what} as it is if it can't be split")
    add("--explain", action="store_true", help="run nothing, show where each line would run")
    add("--timeline", action="store_true", help="show which worker ran what when")
    add("--profile", action="store_true", help="show where the work's time went, line by line")
    add("-q", "--quiet", action="store_true", help="no progress bar and no summary")
    add("-h", "--help", action="store_true", help="show this text")


@functools.cache
def pool_parser() -> argparse.ArgumentParser:
    """The options of ``%mppool``."""
    parser = _Parser("%mppool", description=POOL, epilog=POOL_EXAMPLES)
    add = parser.add_argument
    add("what", nargs="?", choices=("stop", "restart", "forget"), help=_WHAT)
    add("-n", "--workers", type=_positive, metavar="N", help="at least so many workers")
    add("--on", metavar="ENGINE", help="where cells run that don't say it, as of %%%%parallel")
    add("--start", choices=("forkserver", "spawn"), help="how workers start")
    add(
        "--threads",
        type=_threads,
        metavar="N",
        help="threads of BLAS and the like in each; `kernel` for as many as here",
    )
    add("--memory", type=_bytes, metavar="SIZE", help="bytes that each may have, such as 2G")
    add("-h", "--help", action="store_true", help="show this text")
    return parser


def is_plain(given: argparse.Namespace) -> bool:
    """Whether nothing is asked of a cell that the cell as it is wouldn't do."""
    apart = ("workers", "on", "or_serial", "quiet", "expression")
    parser = parallel_parser()
    return all(parser.get_default(n) == v for n, v in vars(given).items() if n not in apart)


def parse(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace | None:
    """Read the rest of a magic's line.

    Returns
    -------
    argparse.Namespace or None
        None after ``--help``, which has been printed.

    Raises
    ------
    UsageError
        If the line isn't right; the text holds the usage.
    """
    try:
        given = parser.parse_args(shlex.split(line))
    except ValueError as error:  # a quote that isn't closed
        raise UsageError(f"{parser.prog}: {error}") from None
    if not given.help:
        if parser.prog in ("%%parallel", "%parallel"):
            check_tries(given)
        return given
    print(parser.format_help())
    return None


def check_tries(given: argparse.Namespace) -> None:
    """Refuse what doesn't go with iterations that travel alone.

    Raises
    ------
    UsageError
        If there is such.
    """
    asked = {
        "--timeout": given.timeout,
        "--retries": given.retries,
        "--keep-going": given.keep_going,
    }
    flag = next((flag for flag, value in asked.items() if value), "")
    if flag and (given.chunk or 1) > 1:
        raise UsageError(f"%%parallel: with {flag} each iteration travels alone; leave out --chunk")
    if flag and given.ahead:
        raise UsageError(
            f"%%parallel: {flag} doesn't go with --ahead, under which work may fail that the cell "
            f"wouldn't have run"
        )


def check_each(given: argparse.Namespace) -> None:
    """Refuse the options that mean nothing for a cell of ``--each``.

    Raises
    ------
    UsageError
        If there are such.
    """
    usual = vars(parallel_parser().parse_args([]))
    meant = {"each", "workers", "quiet", "on", "help"}
    for name, value in vars(given).items():
        if name not in meant and value != usual[name]:
            raise UsageError(
                f"%%parallel: --{name.replace('_', '-')} doesn't go with --each, which splits "
                f"nothing; -n and -q do"
            )


def check_background(given: argparse.Namespace, line_of_await: int) -> None:
    """Refuse what a cell in the background can't have.

    Raises
    ------
    UsageError
        If there is such.
    """
    if line_of_await:
        raise UsageError(f"%%parallel: line {line_of_await}: --bg takes no cell that awaits")
    if given.or_serial:
        raise UsageError("%%parallel: --or-serial doesn't go with --bg")
    if given.resume:
        raise UsageError("%%parallel: --resume doesn't go with --bg")


def check_names(
    option: str, names: Iterable[str], tree: ast.Module, notebook: Container[str]
) -> None:
    """Refuse names that neither the cell nor the notebook has: they are misspelt.

    Raises
    ------
    UsageError
        With the closest name of the cell, where one is close.
    """
    spelt = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in sorted(names):
        if name in spelt or name in notebook:
            continue
        close = difflib.get_close_matches(name, spelt, 1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        raise UsageError(
            f"%%parallel: {option} names `{name}`, which is neither in the cell nor in the "
            f"notebook{hint}"
        )


def _names(text: str) -> frozenset[str]:
    return frozenset(text.replace(",", " ").split())


def _name(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text} is not a name")
    return text


def _bytes(text: str) -> int:
    number, unit = text[:-1], text[-1:].upper()
    if unit not in _UNITS:
        number, unit = text, ""
    return _positive(number) * _UNITS[unit]


def _threads(text: str) -> int:
    return 0 if text == "kernel" else _positive(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)
