"""The result of a count: a number, a mapping and a table at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mpmagic.count.record import FileCount

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Counts"]


class Counts(int):
    """The number of lines of all files, and what is known of each.

    As an int it is the total: of lines, or of those that match if a pattern was given. As a
    mapping it goes from each path to its `FileCount`, in the order in which the files were named.
    A notebook and IPython show it as a table.

    Parameters
    ----------
    records : iterable of FileCount
        One for each file.
    columns : tuple of str
        What was counted besides lines and is shown with them.
    """

    _records: dict[str, FileCount]
    columns: tuple[str, ...]
    timed: bool

    def __new__(
        cls,
        records: Iterable[FileCount] = (),
        columns: tuple[str, ...] = (),
        *,
        timed: bool = False,
    ) -> Counts:
        by_path = {record.path: record for record in records}
        counted = "matches" if "matches" in columns else "lines"
        self = super().__new__(cls, sum(getattr(record, counted) for record in by_path.values()))
        self._records = by_path
        self.columns = columns
        self.timed = timed
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(type(self), timed=self.timed)
        return make, (list(self._records.values()), self.columns)

    @property
    def newlines(self) -> int:
        """Newline characters in all files: the total of ``wc -l``."""
        return self.total("newlines")

    @property
    def bytes(self) -> int:
        """Bytes that were counted in all files."""
        return self.total("bytes")

    def total(self, column: str) -> int:
        """Sum up a column over all files; of ``longest`` it is the maximum."""
        values = [getattr(record, column) for record in self._records.values()]
        return max(values, default=0) if column == "longest" else sum(values)

    @property
    def partial(self) -> bool:
        """Whether the total misses a file or a part of one; `errors` says which and why."""
        return any(not record.status.complete for record in self._records.values())

    @property
    def errors(self) -> dict[str, str]:
        """The reason for each file that wasn't counted, or not to its end."""
        return {
            path: record.reason
            for path, record in self._records.items()
            if not record.status.complete
        }

    @property
    def groups(self) -> dict[str, int]:
        """Lines by what `by` captured in them, the most frequent first; of all files."""
        groups: Counter[str] = Counter()
        for record in self._records.values():
            groups.update(record.groups)
        # Equally frequent ones by name: else the order would depend on which thread was first.
        return dict(sorted(groups.items(), key=lambda group: (-group[1], group[0])))

    @property
    def times(self) -> dict[datetime, int]:
        """Lines by the beginning of their interval, in order; of all files."""
        if not self.timed:
            return {}
        stamped = {text: number for text, number in self.groups.items() if text}
        return {datetime.fromisoformat(text): stamped[text] for text in sorted(stamped)}

    def plot(self, ax: Any = None) -> Any:
        """Draw lines per interval, per group or per file as bars with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default on pyplot's current axes.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from mpmagic.count.chart import plot

        return plot(self, ax)

    def __getitem__(self, path: str | os.PathLike[str]) -> FileCount:
        return self._records[os.fspath(path)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path) in self._records

    def get(self, path: str | os.PathLike[str], default: Any = None) -> Any:
        """Give the record of a file, or `default` if the count knows no such file."""
        return self._records.get(os.fspath(path), default)

    def keys(self) -> KeysView[str]:
        """The files, as they were named."""
        return self._records.keys()

    def values(self) -> ValuesView[FileCount]:
        """The records."""
        return self._records.values()

    def items(self) -> ItemsView[str, FileCount]:
        """Files and records."""
        return self._records.items()

    def to_frame(self) -> pd.DataFrame:
        """Give one row per file as a pandas DataFrame with the path as index.

        Raises
        ------
        ImportError
            If pandas isn't installed.
        """
        import pandas as pd

        more = [name for name in self.columns if name != "bytes"]
        columns = ["lines", "newlines", "bytes", *more, "status", "reason"]
        rows = [
            [getattr(record, name) for name in columns[:-2]] + [record.status.value, record.reason]
            for record in self._records.values()
        ]
        return pd.DataFrame(rows, columns=columns, index=pd.Index(self._records, name="path"))

    def table(self) -> str:
        """Write the table as text."""
        from mpmagic.count.table import as_text

        return as_text(self)

    def __repr__(self) -> str:
        mark = ", partial" if self.partial else ""
        plural = "" if len(self) == 1 else "s"
        return f"<Counts {int(self)}: {len(self)} file{plural}{mark}>"

    def __str__(self) -> str:
        return int.__repr__(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # Within a list or a dict a table would be out of place.
        printer.text(repr(self) if printer.indentation else self.table())

    def _repr_html_(self) -> str:
        from mpmagic.count.table import as_html

        return as_html(self)


Mapping.register(Counts)
