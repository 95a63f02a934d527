"""What is to be counted, as one value that travels with every unit of work."""

from __future__ import annotations

from dataclasses import dataclass

from mpmagic.count.patterns import Pattern

__all__ = ["COLUMNS", "Query"]

COLUMNS = ("words", "chars", "bytes", "longest", "blank", "records")


@dataclass(frozen=True, slots=True)
class Query:
    """What to count besides line ends, and how to read the files.

    Attributes
    ----------
    columns : tuple of str
        Columns that were asked for, of `COLUMNS`.
    universal : bool
        Whether a lone carriage return ends a line.
    raw : bool
        Whether compressed and two-byte files are counted as the bytes that they are.
    fresh : bool
        Whether nothing that was counted before is taken over.
    match : tuple of Pattern
        What a line has to match at least one of; empty if every line is meant.
    invert : bool
        Whether it must match none of them instead.
    by : Pattern or None
        By what its first group captures lines are counted apart.
    interval : int
        Seconds by which lines are counted apart, by the timestamps in them; 0 if they aren't.

    Raises
    ------
    ValueError
        If there is no such column.
    """

    columns: tuple[str, ...] = ()
    universal: bool = False
    raw: bool = False
    fresh: bool = False
    match: tuple[Pattern, ...] = ()
    invert: bool = False
    by: Pattern | None = None
    interval: int = 0

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in COLUMNS:
                raise ValueError(f"no column {name!r}; there are {', '.join(COLUMNS)}")

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that a table of the result has besides lines."""
        return ("matches", *self.columns) if self.match else self.columns

    @property
    def by_lines(self) -> bool:
        """Whether lines have to be looked at as a whole, not just their ends."""
        measured = any(name != "bytes" for name in self.columns)
        return measured or bool(self.match or self.by or self.interval)

    @property
    def groups(self) -> bool:
        """Whether lines are counted by what is in them."""
        return self.by is not None or bool(self.interval)

    @property
    def aligned(self) -> bool:
        """Whether a stretch of a file has to begin and to end with a line."""
        return self.by_lines or self.universal
