"""`python -m mpmagic.count`: the counter for the shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mpmagic.count.counting import count_lines
from mpmagic.count.counts import Counts
from mpmagic.count.follow import follow
from mpmagic.count.liveview import TerminalView
from mpmagic.count.options import OptionError, arguments_of, follower_of, new_parser
from mpmagic.count.progress import Progress, TerminalProgress
from mpmagic.count.record import CountInterrupted

_PARTIAL, _WRONG_USAGE, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Count what the arguments name and print the table.

    Returns
    -------
    int
        The exit status: 0, 1 if something couldn't be counted, 2 for wrong usage, 130 after
        an interrupt.
    """
    parser = new_parser("python -m mpmagic.count")
    try:
        options = parser.parse_args(arguments)
        if options.help:
            print(parser.format_help())
            return 0
        if not options.paths:
            parser.error("name at least one file")
        progress = TerminalProgress() if sys.stderr.isatty() else Progress()
        paths = [sys.stdin.buffer if path == "-" else path for path in options.paths]
        if options.follow:
            view = TerminalView()
            counts = follow(follower_of(paths, options), view)
            view.close()
            _print(counts)
            return _INTERRUPTED
        counts = count_lines(paths, progress=progress, **arguments_of(options))
    except OptionError as error:
        print(error, file=sys.stderr)
        return _WRONG_USAGE
    except CountInterrupted as interrupt:
        _print(interrupt.counts)
        return _INTERRUPTED
    except (OSError, ValueError) as error:
        print(error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return _PARTIAL
    _print(counts)
    return _PARTIAL if counts.partial else 0


def run() -> int:
    """Run `main` as a command, which may be cut short by whoever reads its output."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Else the interpreter meets the closed pipe once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PARTIAL
    return status


def _print(counts: Counts) -> None:
    # Names that aren't valid text hold surrogates, which stdout refuses by default.
    encoding = sys.stdout.encoding or "utf-8"
    print(counts.table().encode(encoding, "backslashreplace").decode(encoding))


if __name__ == "__main__":
    sys.exit(run())
