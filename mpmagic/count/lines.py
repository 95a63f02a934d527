"""`Lines`: the lines of a file of any size as a sequence that never loads it."""

from __future__ import annotations

import errno
import operator
import os
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, overload

from mpmagic.count.formats import HEAD, Format, format_of
from mpmagic.count.lineindex import LineIndex, index_of
from mpmagic.count.regular import open_regular

__all__ = ["Lines"]

# More lines between two are sooner sought than read.
_SKIPPED = 1000


class Lines(Sequence[Any]):
    """The lines of a file, of which only those that are asked for are read.

    The file is counted when the object is made, at the speed of `count_lines`; a second object of
    the same file costs nothing, one of a file that has grown only the counting of what is new.
    What is appended later isn't seen by an object that exists.

    Parameters
    ----------
    path : str or Path
        A plain file, not a compressed one.
    encoding : str or None
        How the lines become text; with None they are bytes. Of an encoding in which a newline
        isn't one byte of value 10, such as UTF-16, the lines can't be found.
    errors : str
        What to do with bytes that are no text, as for `open`.

    Raises
    ------
    OSError
        If the file can't be read; later also if it has been replaced or cut off.
    ValueError
        If the file is compressed or UTF-16 or UTF-32.

    Examples
    --------
    >>> lines = Lines("big.log")  # doctest: +SKIP
    >>> len(lines), lines[-1], lines[1000:2000]  # doctest: +SKIP
    >>> lines.sample(100, seed=1)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encoding: str | None = "utf-8",
        errors: str = "strict",
    ) -> None:
        self.path = os.fspath(path)
        self.encoding = encoding
        self.errors = errors
        self._index: LineIndex = index_of(self.path)
        self._numbers = range(len(self._index))
        _insist_on_plain(self.path)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Lines: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return self._part(self._numbers[at])
        try:
            number = self._numbers[operator.index(at)]
        except IndexError:
            raise IndexError(f"line {at} of {len(self)}: {self.path}") from None
        return next(iter(self._read(number, 1)))

    def __iter__(self) -> Iterator[Any]:
        numbers = self._numbers
        if 0 < numbers.step <= _SKIPPED and numbers:
            lines = self._read(numbers.start, numbers[-1] + 1 - numbers.start)
            return islice(lines, 0, None, numbers.step)
        return (self[at] for at in range(len(self)))

    def sample(self, n: int, seed: int | None = None) -> list[Any]:
        """Draw `n` different lines at random, in random order.

        Raises
        ------
        ValueError
            If there are fewer than `n`.
        """
        return [self[at] for at in random.Random(seed).sample(range(len(self)), n)]

    def span(self) -> tuple[int, int] | None:
        """Offsets in the file between which these lines stand, None if there are gaps.

        Raises
        ------
        OSError
            If the file has been replaced or cut off.
        """
        numbers = self._numbers
        if numbers.step != 1:
            return None
        with self._open() as file:
            ends = (numbers.start, numbers.start + len(numbers))
            start, stop = (self._index.offset(file.fileno(), number) for number in ends)
        return start, stop

    def __repr__(self) -> str:
        return f"<Lines of {self.path!r}: {len(self):,}>"

    def _part(self, numbers: range) -> Lines:
        part = object.__new__(type(self))
        part.__dict__ |= self.__dict__ | {"_numbers": numbers}
        return part

    def _read(self, number: int, count: int) -> Iterator[Any]:
        with self._open() as file:
            file.seek(self._index.offset(file.fileno(), number))
            left = self._index.size - file.tell()
            for _ in range(count):
                # Not beyond what was counted: the last line may have been continued since.
                line = file.readline(left)
                left -= len(line)
                yield self._text(line)

    def _open(self) -> BinaryIO:
        file = os.fdopen(open_regular(self.path), "rb")
        seen, index = os.fstat(file.fileno()), self._index
        if (seen.st_dev, seen.st_ino) == index.identity and seen.st_size >= index.size:
            return file
        file.close()
        message = "replaced or cut off since its lines were counted: make a new Lines"
        raise OSError(errno.ESTALE, message, self.path)

    def _text(self, line: bytes) -> Any:
        if self.encoding is None:
            return line
        if line.endswith(b"\r\n"):
            line = line[:-2] + b"\n"
        return line.decode(self.encoding, self.errors)


def _insist_on_plain(path: str) -> None:
    with open(path, "rb") as file:
        format_ = format_of(file.read(HEAD))
    if format_ is not Format.PLAIN:
        raise ValueError(f"{path} is {format_.value}: its lines can't be found without reading all")
