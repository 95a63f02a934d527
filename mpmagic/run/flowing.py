"""Iterators that are stepped ahead for real, since there can be no copy of them.

What they give is remembered until the commits come to it. That is the serial loop only if stepping
them runs nothing but builtins, if nobody else can step them, and if what they take from stays what
it is. The first two are looked at when the loop begins: who holds an iterator the garbage collector
knows. The last is looked at once more when the loop is over.
"""

from __future__ import annotations

import gc
import io
import itertools
import os
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.draw import FLOWING, STEPPING

__all__ = ["Flowing", "Held", "Steps", "is_flowing"]

_CHANGEABLE: Final = (list, dict, set)
_CONTAINERS: Final = (*_CHANGEABLE, tuple, frozenset)

_CALLED: Final = frozenset(
    {abs, bool, chr, divmod, float, hex, int, len, max, min, ord, pow, range, repr, round, str,
     enumerate, zip, sum, sorted, reversed, tuple, list}
)  # fmt: skip
"""Builtins that do nothing but compute with plain values."""

_PARTS: Final = frozenset({*FLOWING, *STEPPING, type(iter({}.items())), type(iter({}.values()))})

_MORE: Final = object()
"""Stands for what can't be told."""


def is_flowing(owner: Any) -> bool:
    """Whether it's an iterator of which there are no copies, and that may be stepped ahead."""
    return type(owner) in FLOWING


class Held(list[Any]):
    """A list of ours that holds such iterators."""


class Steps:
    """Steps an iterator.

    Parameters
    ----------
    iterator
        The iterator.

    Attributes
    ----------
    failure
        What it has raised; None if nothing.
    """

    __slots__ = ("_iterator", "failure")

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self.failure: BaseException | None = None

    def __call__(self, *default: Any) -> Any:
        """Take the next item."""
        try:
            return next(self._iterator, *default)
        except Exception as error:
            self.failure = error
            raise


class Flowing:
    """An iterator that is stepped ahead, while the loop runs.

    Parameters
    ----------
    name
        Its name.
    namespace
        The notebook's.
    is_value
        Whether something is a plain value.

    Raises
    ------
    ValueError
        If it can't be stepped ahead; the message says why.
    """

    def __init__(
        self, name: str, namespace: dict[str, Any], is_value: Callable[[Any], bool]
    ) -> None:
        self._owner = namespace[name]
        self._behind: dict[int, Any] = {}
        for part in _walk(self._owner):
            if part is _MORE or not (is_value(part) or _is_known(part)):
                raise ValueError("it may give, or run, more than plain values")
            self._behind[id(part)] = part
        if self._is_held_elsewhere(namespace) or _is_named_by_function(name, namespace):
            raise ValueError("something else may step it too")
        self._watched = [part for part in self._behind.values() if self._may_change(part)]
        self._content = self._content_now()

    def takes_from(self, values: Iterable[Any]) -> bool:
        """Whether it takes from one of these."""
        return any(id(value) in self._behind for value in values)

    def is_as_it_was(self) -> bool:
        """Whether what it takes from is what it was when the loop began."""
        return self._content_now() == self._content

    def _content_now(self) -> list[tuple[Any, ...]]:
        """What its containers hold, by identity, and how its files are."""
        found: list[tuple[Any, ...]] = []
        for part in self._watched:
            if isinstance(part, io.TextIOWrapper):
                found.append(_status_of(part))
            else:
                found.append(tuple(map(id, gc.get_referents(part))))
        return found

    def _may_change(self, part: Any) -> bool:
        """Whether somebody else can change a part: not what `itertools.cycle` keeps for itself."""
        if type(part) not in _CHANGEABLE:
            return isinstance(part, io.TextIOWrapper)
        holders = gc.get_referrers(part)
        return any(id(h) not in self._behind and h is not self._behind for h in holders)

    def _is_held_elsewhere(self, namespace: dict[str, Any]) -> bool:
        if sum(value is self._owner for value in namespace.values()) > 1:
            return True
        parts = tuple(part for part in self._behind.values() if hasattr(part, "__next__"))
        # The very tuple that the call below hands over, which is a holder too.
        steps = (*parts, *(p.buffer for p in parts if isinstance(p, io.TextIOWrapper)))
        ours = {id(o) for o in (namespace, self, vars(self), self._behind, parts, steps)}
        ours |= self._behind.keys()
        for holder in gc.get_referrers(*steps):
            if id(holder) in ours or isinstance(holder, Held | Steps):
                continue
            if isinstance(holder, types.BuiltinMethodType) and holder.__name__ == "__exit__":
                continue  # of the `with` around the loop
            if isinstance(holder, types.FrameType) and holder.f_globals is not namespace:
                continue
            return True
        # Those behind it must have no names of their own.
        inner = {id(part) for part in steps} - {id(self._owner)}
        return any(id(value) in inner for value in namespace.values())


def _status_of(file: io.TextIOWrapper) -> tuple[Any, ...]:
    if file.closed:
        return ("closed",)
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):  # in memory
        return ("no file",)
    return status.st_size, status.st_mtime_ns


def _is_named_by_function(name: str, namespace: dict[str, Any]) -> bool:
    """Whether any function that has the notebook's globals, wherever it is, spells a name."""
    holders = gc.get_referrers(namespace)
    return any(
        isinstance(holder, types.FunctionType)
        and holder.__globals__ is namespace
        and holder.__name__ != "<module>"  # halves of loops
        and _spells(holder.__code__, name)
        for holder in holders
    )


def _spells(code: types.CodeType, name: str) -> bool:
    if name in code.co_names:
        return True
    return any(_spells(c, name) for c in code.co_consts if isinstance(c, types.CodeType))


def _walk(owner: Any) -> Iterator[Any]:
    """An iterator, and all that it takes from."""
    seen, open_ = {id(owner)}, [owner]
    while open_:
        part = open_.pop()
        yield part
        for other in _taken_from(part):
            if id(other) not in seen:
                seen.add(id(other))
                open_.append(other)


def _taken_from(part: Any) -> list[Any]:
    if isinstance(part, io.TextIOWrapper):
        return []
    if isinstance(part, types.GeneratorType):
        frame = part.gi_frame
        return [] if frame is None else [*frame.f_locals.values(), *_named(frame)]
    inside: list[Any] = []
    if type(part) in _PARTS or type(part) in _CONTAINERS:  # from 3.12 on some refer to their type
        inside = [other for other in gc.get_referents(part) if other is not type(part)]
    if type(part) in _CONTAINERS:  # what it gives would be no plain value
        inside = [_MORE if isinstance(other, _CHANGEABLE) else other for other in inside]
    return inside


def _named(frame: types.FrameType) -> Iterator[Any]:
    """What a generator's code names outside of it: `_MORE` for anything but builtins."""
    codes = [frame.f_code]
    while codes:
        code = codes.pop()
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
        for name in code.co_names:
            yield _MORE if name in frame.f_globals else frame.f_builtins.get(name, _MORE)


def _is_known(part: Any) -> bool:
    if type(part) in _PARTS or type(part) in _CONTAINERS:
        return True
    is_called = isinstance(part, type | types.BuiltinFunctionType)
    return isinstance(part, itertools.count) or (is_called and part in _CALLED)
