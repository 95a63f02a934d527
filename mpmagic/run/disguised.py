"""Methods of pandas that call a function, as loops: run twice, around the loop.

The first run tells what pandas gives to the function, the second one hands it the results in that
order. So the index, the types and the order of what comes out are pandas' own.
"""

from __future__ import annotations

import inspect
import itertools
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.disguise import TAKEN
from mpmagic.errors import LostWrite, MpmagicError
from mpmagic.run.frameattributes import extra_attributes
from mpmagic.run.framememory import holds_cells
from mpmagic.run.reachable import Reachable
from mpmagic.run.warned import warnings_aside
from mpmagic.run.watch import ATOMS

__all__ = ["Disguised"]

_LAZY: Final = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)  # fmt: skip
"""Flags of functions that give what can't travel."""

_ROWS_AT_ONCE: Final = 256
"""Of a large frame the rows, each an object of a kilobyte, aren't all there at once."""
_Fenced = Callable[[MpmagicError], BaseException]


class Disguised:
    """A call of such a method, while its loop runs.

    Parameters
    ----------
    stays
        Is told why the call isn't split.
    fenced
        Makes of an error of ours what no handler of the cell's, or of pandas', takes for its own.
    """

    def __init__(self, stays: Callable[[str], None], fenced: _Fenced) -> None:
        self._stays, self._fenced = stays, fenced

    def takes(self, receiver: Any, method: str, function: Any, **options: Any) -> bool:
        """Whether it's a call of pandas' with a function in Python."""
        self._receiver, self._method = receiver, method
        self._function: Callable[..., Any] = function
        self._options = options
        why = self._why_not()
        if why:
            self._stays(why)
        return not why

    def arguments(self) -> Iterable[Any]:
        """What pandas calls the function with, in order."""
        self._rows = deque[Any]()
        if self._calls_by_row():
            self._count = len(self._receiver)
            return _Rows(self._receiver, self._given_by, self._rows)
        self._count = len(self._given)
        return self._given

    def method(self) -> Callable[..., Any]:
        """The method, for the cell to call."""
        method: Callable[..., Any] = getattr(self._receiver, self._method)
        return method

    def function(self) -> Callable[..., Any]:
        """What the cell gives to it, where the call isn't split."""
        return self._function

    def returning(self, results: Iterator[Any]) -> Callable[..., Any]:
        """A function that has been called already: gives the results, one after the other."""
        self._returned = _Returned(results, self._function, self._rows)
        self._returned.left = self._count
        return self._returned.next

    def over(self, value: Any) -> Any:
        """What the method has returned, if it has asked for all results."""
        if self._returned.left:
            raise self._fenced(
                LostWrite(
                    f"pandas' `{self._method}` called the function less often than it had told, "
                    f"so that results may differ. Run the cell without %%parallel"
                )
            )
        if self._returned.keeps_rows:
            raise self._fenced(
                LostWrite(
                    "pandas shows all rows in one object, and the function keeps it in what it "
                    "gives back. Let it keep a copy of the row, or run the cell without %%parallel"
                )
            )
        return value

    def calls(self, function: Any) -> bool:
        """Whether `map` is given a function in Python, whose results may travel."""
        why = _why_not_called("map", function)
        if why:
            self._stays(why)
        return not why

    def mapped(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        """The results where the loop stays in the kernel."""
        return map(function, items)

    def starmapped(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        """The same for a function of several arguments."""
        return itertools.starmap(function, items)

    def iterator(self, results: Iterator[Any]) -> Iterator[Any]:
        """The results of a loop, as `map` gives them."""
        return _Mapped(results)

    def _why_not(self) -> str:
        kind = type(self._receiver)
        options = TAKEN.get((kind.__name__, self._method))
        if str(kind.__module__).partition(".")[0] != "pandas" or options is None:
            return f"`{self._method}` of an object of type {kind.__name__} isn't split"
        if not self._options.keys() <= options:
            return f"`{self._method}` has an option that the function may get"
        if not len(self._receiver) or (kind.__name__ == "DataFrame" and self._receiver.empty):
            return f"`{self._method}` of an empty {kind.__name__} isn't split"
        if why := _why_not_called(self._method, self._function):
            return why
        if not self._calls_by_row():
            try:
                self._given = self._given_by(self._receiver)
            except Exception as error:  # a function that gives nothing is none for it
                return f"pandas doesn't tell what it calls the function with: {error!r}"
        return ""

    def _calls_by_row(self) -> bool:
        by_row = self._options.get("axis") in (1, "columns")
        return by_row and type(self._receiver).__name__ == "DataFrame"

    def _given_by(self, receiver: Any) -> list[Any]:
        given: list[Any] = []
        with warnings_aside():  # pandas warns again where the cell can show it
            getattr(receiver, self._method)(lambda part: given.append(_own(part)), **self._options)
        return given


def _why_not_called(method: str, function: Any) -> str:
    if not isinstance(function, types.FunctionType):
        return f"`{method}` was given a {type(function).__name__}"
    if function.__code__.co_flags & _LAZY:
        return f"`{function.__name__}` gives generators"
    return ""


def _own(argument: Any) -> Any:
    """An object of its own for a row or group: pandas may show the next row in the same one."""
    if not holds_cells(argument):
        return argument
    copy = argument.copy(deep=False)
    for name, value in extra_attributes(argument).items():
        object.__setattr__(copy, name, value)
    return copy


class _Rows:
    """The rows of a frame as `apply` gives them, some at a time; kept in `rows` too."""

    def __init__(self, frame: Any, given_by: Callable[[Any], list[Any]], rows: deque[Any]) -> None:
        self._frame = frame
        self._given_by = given_by
        self._kept = rows

    def __len__(self) -> int:
        return len(self._frame)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self._frame), _ROWS_AT_ONCE):
            for row in self._given_by(self._frame.iloc[start : start + _ROWS_AT_ONCE]):
                self._kept.append(row)
                yield row


class _Returned:
    """The results of a loop, as a function's.

    Parameters
    ----------
    results
        The results.
    function
        The function itself.
    rows
        The rows that it was called with, if these were rows.

    Attributes
    ----------
    left
        How many results there are still.
    keeps_rows
        Whether a row was in one of the results.
    """

    def __init__(
        self, results: Iterator[Any], function: Callable[..., Any], rows: deque[Any]
    ) -> None:
        self._results, self._rows = results, rows
        self._function = function
        self.left = 0
        self.keeps_rows = False

    def next(self, *args: Any) -> Any:
        """The next result, or the exception in its place."""
        if not self.left:  # pandas tries again in another way what has failed
            return self._function(*args)
        try:
            result = _next(self._results)
        except BaseException:
            self.left = 0
            raise
        self.left -= 1
        if not self.left:
            next(self._results, None)  # the loop's end, which nobody would ask for
        return self._for_row(result, *args)

    def _for_row(self, result: Any, *args: Any) -> Any:
        """The result, if it's the row itself pandas' own."""
        if not self._rows:
            return result
        row = self._rows.popleft()
        if result is row:
            return args[0]
        if type(result) not in ATOMS and id(row) in Reachable([result], deep=True).ids:
            self.keeps_rows = True
        return result


class _Mapped:
    """An iterator that ends where the function raises StopIteration, as `map` does."""

    def __init__(self, results: Iterator[Any]) -> None:
        self._results = results

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return _next(self._results)


def _next(results: Iterator[Any]) -> Any:
    """The next result; a StopIteration of the function's own, which no generator lets through."""
    try:
        return next(results)
    except RuntimeError as error:
        stop = error.__cause__
        traceback = error.__traceback__
        own = traceback is not None and traceback.tb_next is None  # no function raised it
        if not own or not isinstance(stop, StopIteration):
            raise
    raise stop  # where no other exception is being handled
