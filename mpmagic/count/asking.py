"""From the keywords of a call, or the options of a command line, to a query and a selection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mpmagic.count.clock import interval_of
from mpmagic.count.patterns import Pattern
from mpmagic.count.query import Query
from mpmagic.count.tree import Selection

__all__ = ["query_of", "selection_of"]

Texts = str | Sequence[str]


def query_of(
    *,
    match: Texts = (),
    by: str | None = None,
    by_time: str | None = None,
    ignore_case: bool = False,
    invert: bool = False,
    fixed: bool = False,
    columns: Iterable[str] = (),
    universal: bool = False,
    raw: bool = False,
    fresh: bool = False,
) -> Query:
    """Make a query; the keywords are those of `count_lines`.

    Raises
    ------
    ValueError
        If there is no such column, if a pattern is no regular expression, an interval none.
    """
    return Query(
        columns=tuple(columns),
        universal=universal,
        raw=raw,
        fresh=fresh,
        match=tuple(Pattern(source, fixed, ignore_case) for source in _tuple(match)),
        invert=invert,
        by=None if by is None else Pattern(by, ignore_case=ignore_case),
        interval=interval_of(by_time) if by_time else 0,
    )


def selection_of(
    *,
    recursive: bool = False,
    include: Texts = (),
    exclude: Texts = (),
    skip_hidden: bool = False,
    gitignore: bool = False,
) -> Selection:
    """Make a selection; the keywords are those of `count_lines`."""
    return Selection(recursive, _tuple(include), _tuple(exclude), skip_hidden, gitignore)


def _tuple(given: Texts) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
