"""What `%mpcount` does, apart from being registered."""

from __future__ import annotations

import shlex
import sys
import types
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError

from mpmagic.count.counting import count_lines
from mpmagic.count.counts import Counts
from mpmagic.count.follow import Follower, follow
from mpmagic.count.liveview import NotebookView, TerminalView
from mpmagic.count.options import OptionError, arguments_of, follower_of, new_parser
from mpmagic.count.progress import NotebookProgress, Progress, TerminalProgress, readable_size
from mpmagic.count.record import CountInterrupted

__all__ = ["mpcount"]


def mpcount(
    line: str,
    shell: Any,
    *,
    expand: bool = False,
    executor_on: Callable[[str | None], Executor | None] = lambda _: None,
) -> Counts | None:
    """Count the lines of the files that `line` names.

    Parameters
    ----------
    line : str
        Options and paths as after ``%mpcount``.
    shell : IPython.core.interactiveshell.InteractiveShell
        The shell in which the magic runs: tells how progress is shown.
    expand : bool
        Expand `$name` and `{expr}` here, in paths only. For a magic that is registered with
        `no_var_expand`: IPython itself would expand the whole line, and make ``\\d3`` of the
        pattern ``\\d{3}``.
    executor_on : callable
        Gives, for what ``--on`` names or None, the executor that counts regular expressions in
        large files; None for a pool for this count alone.

    Returns
    -------
    Counts or None
        The result, which IPython displays if it is the value of the cell. After an interrupt
        it holds what was counted until then and is marked as partial. None after ``--help``.

    Raises
    ------
    UsageError
        If the line names no file or has an option that doesn't exist.
    OSError
        If nothing at all could be counted.
    """
    parser = new_parser("%mpcount")
    try:
        options = parser.parse_args(_split(line))
        if options.help:
            print(parser.format_help())
            return None
        if not options.paths:
            parser.error("name at least one file")
    except (OptionError, ValueError) as error:  # ValueError: a quote that isn't closed
        raise UsageError(str(error)) from None
    paths = _expanded(options.paths, shell) if expand else options.paths
    if options.follow:
        return _follow(follower_of(paths, options), shell)
    arguments = arguments_of(options) | {"executor": executor_on(options.on)}
    return _count(paths, arguments, _progress(shell))


def _follow(follower: Follower, shell: Any) -> Counts:
    view = NotebookView() if hasattr(shell, "kernel") else TerminalView()
    try:
        return follow(follower, view)
    finally:
        view.close()


def _count(paths: list[Any], arguments: dict[str, Any], progress: Progress) -> Counts:
    try:
        return count_lines(paths, progress=progress, **arguments)
    except CountInterrupted as interrupt:
        size = readable_size(interrupt.counts.bytes)
        print(f"Interrupted: the counts are partial, {size} were counted.", file=sys.stderr)
        return interrupt.counts
    except (OSError, ValueError) as error:
        _shorten(error)
        raise


def _split(line: str) -> list[str]:
    """Split as a shell does, but leave backslashes to the patterns: ``\\d`` needs no quotes.

    Only before a blank, as completion writes it in names, a backslash makes the blank a part.
    """
    words = shlex.shlex(line.replace("\\ ", "\0"), posix=True)
    words.whitespace_split, words.escape, words.commenters = True, "", ""
    return [word.replace("\0", " ") for word in words]


def _expanded(paths: list[str], shell: Any) -> list[Any]:
    caller, depth = _caller()
    names = {**shell.user_ns, **(caller.f_locals if caller else {})}
    expanded: list[Any] = []
    for path in paths:
        name = path.strip("${}")
        value = names.get(name) if path in (f"${name}", f"{{{name}}}") else None
        if isinstance(value, list | tuple):  # a list of paths is several, not its text
            expanded += value
        elif isinstance(value, Path):
            expanded.append(value)
        else:
            expanded.append(shell.var_expand(path, depth))
    return expanded


def _caller() -> tuple[types.FrameType | None, int]:
    """The frame that has called the magic, and how far it is above that of our caller.

    IPython looks for names there first: our own must hide none of the notebook's. Where no magic
    was called it's farther than any frame, and IPython looks in the notebook alone.
    """
    frame, depth = sys._getframe(), 0
    while frame is not None and frame.f_code.co_name != "run_line_magic":
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    return (None, sys.getrecursionlimit()) if frame is None else (frame.f_back, depth)


def _progress(shell: Any) -> Progress:
    if hasattr(shell, "kernel"):
        return NotebookProgress()
    return TerminalProgress() if sys.stderr.isatty() else Progress()


def _shorten(error: Exception) -> None:
    """Have IPython show the error without a traceback: its frames would be mpmagic's own."""
    text = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]
    error._render_traceback_ = lambda: text  # type: ignore[attr-defined]
