"""`count_lines`: from paths to `Counts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

from mpmagic.count.asking import query_of, selection_of
from mpmagic.count.counter import new_counter
from mpmagic.count.counts import Counts
from mpmagic.count.engine import Engine
from mpmagic.count.places import Paths, Place, expand
from mpmagic.count.progress import Progress
from mpmagic.count.query import Query
from mpmagic.count.record import CountInterrupted, FileCount, Status
from mpmagic.count.streams import count_stream

__all__ = ["count_lines"]

_UNKNOWN = 1 << 62


def count_lines(
    paths: Paths,
    *,
    match: str | Sequence[str] = (),
    by: str | None = None,
    by_time: str | None = None,
    ignore_case: bool = False,
    invert: bool = False,
    fixed: bool = False,
    recursive: bool = False,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    skip_hidden: bool = False,
    gitignore: bool = False,
    columns: Iterable[str] = (),
    universal: bool = False,
    raw: bool = False,
    fresh: bool = False,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Count the lines of files.

    Parameters
    ----------
    paths : str, Path, bytes, binary file or an iterable of them
        The files. A str may be a glob (``logs/**/*.log``) or, with fsspec, a URL; a Path is taken
        literally. Bytes are content; an open file is counted from where it stands to its end.
    match : str or sequence of str
        Count the lines that match at least one of these regular expressions: those for which
        `re.search` finds something in the line, taken as text without its end.
    by : str
        Count lines apart by what the first group of this regular expression, or all of it if it
        has none, captures in them; the result is in `Counts.groups`.
    by_time : str
        Count lines apart by intervals (``10s``, ``5m``, ``1h``, ``1d``) of the timestamps in them:
        ISO 8601, Apache and nginx, syslog, seconds since 1970; the result is in `Counts.times`.
    ignore_case : bool
        Let case not matter for `match` and `by`.
    invert : bool
        Count the lines that match none of the patterns.
    fixed : bool
        Take `match` for literals, not for regular expressions.
    recursive : bool
        Count the files in directories and below them.
    include, exclude : str or sequence of str
        Patterns of names (``*.py``) that files in directories must match one of, or that
        files and directories there must not match.
    skip_hidden : bool
        Leave out names in directories that begin with a dot.
    gitignore : bool
        Leave out what `.gitignore` files in the directories name.
    columns : iterable of str
        What else to count: ``words`` as `bytes.split` finds them, ``chars`` of UTF-8, the
        ``longest`` line in characters, ``blank`` lines, CSV ``records`` (newlines within
        quotes end none), exact ``bytes``.
    universal : bool
        Take a lone carriage return for a line's end too, as `open` does by default.
    raw : bool
        Count compressed files, UTF-16 and UTF-32 as the bytes that they are. Else gzip, bzip2,
        xz, zstd and lz4 are known by their first bytes, the encodings by their mark.
    fresh : bool
        Read all of each file. Else of one that was counted before and has grown since only what
        is new is read, as long as nothing but lines is counted.
    threads : int, optional
        How many threads, or processes for regular expressions, count large files; by default
        one per core.
    executor : concurrent.futures.Executor, optional
        What counts regular expressions in large files, stretch by stretch; by default processes
        started for this count.
    progress : Progress, optional
        What shows how far the count has come.

    Returns
    -------
    Counts
        The number of lines; also a mapping from each path to its own numbers. A file that
        couldn't be counted is in it with the reason.

    Raises
    ------
    ValueError
        If there is no such column, if a pattern is no regular expression, an interval none.
    OSError
        If nothing at all could be counted: `FileNotFoundError`, `PermissionError` and so on,
        of the first file.
    CountInterrupted
        On Ctrl-C; a `KeyboardInterrupt` whose `counts` holds what was counted until then.
    """
    query = query_of(
        match=match,
        by=by,
        by_time=by_time,
        ignore_case=ignore_case,
        invert=invert,
        fixed=fixed,
        columns=columns,
        universal=universal,
        raw=raw,
        fresh=fresh,
    )
    selection = selection_of(
        recursive=recursive,
        include=include,
        exclude=exclude,
        skip_hidden=skip_hidden,
        gitignore=gitignore,
    )
    places = expand(paths, selection)
    files = [place for place in places if not place.is_stream]
    progress = progress or Progress()
    progress.total = sum(place.size for place in files)
    engine = Engine(files, query, threads=threads, executor=executor, progress=progress)
    records = engine.agenda.records
    try:
        engine.run()
        for place in places:
            if place.is_stream:
                for record in count_stream(place, new_counter(query, _UNKNOWN), raw=raw):
                    records[place.path] = record
    except KeyboardInterrupt:
        raise CountInterrupted(_in_order(places, records, query)) from None
    counts = _in_order(places, records, query)
    _fail_if_nothing_counted(counts)
    return counts


def _in_order(places: Sequence[Place], records: dict[str, FileCount], query: Query) -> Counts:
    found = (records.get(place.path) or _unreached(place) for place in places)
    return Counts(found, query.shown, timed=bool(query.interval))


def _unreached(place: Place) -> FileCount:
    return FileCount(place.path, status=Status.PARTIAL, reason="interrupted before its turn")


def _fail_if_nothing_counted(counts: Counts) -> None:
    errors = [record.error for record in counts.values() if record.status is Status.FAILED]
    if not errors or len(errors) < len(counts):
        return
    error = errors[0] or OSError("nothing could be counted")
    for path in list(counts)[1:4]:
        error.add_note(f"{path}: {counts[path].reason}")
    raise error
