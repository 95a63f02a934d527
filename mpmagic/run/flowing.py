"""Iterators that are stepped ahead for real, since there can be no copy of them.

What they give is remembered until the commits come to it. That is the serial loop only if stepping
them runs nothing but builtins, if nothing that the loop changes is what they take from, and if
nobody else steps them or what is behind them.
"""

from __future__ import annotations

import gc
import io
import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.draw import FLOWING, STEPPING

__all__ = ["is_flowing", "why_not_ahead"]

_CONTAINERS: Final = (list, tuple, dict, set, frozenset)
_CHANGEABLE: Final = (list, dict, set)

_CALLED: Final = frozenset(
    {abs, bool, chr, divmod, float, hex, int, len, max, min, ord, pow, range, repr, round, str,
     enumerate, zip, sum, sorted, reversed, tuple, list}
)  # fmt: skip
"""Builtins that do nothing but compute with plain values."""

_PARTS: Final = frozenset({*FLOWING, *STEPPING, type(iter({}.items())), type(iter({}.values()))})
_MOST: Final = 200_000
"""Objects that are looked at; what holds more isn't stepped ahead."""


def is_flowing(owner: Any) -> bool:
    """Whether it's an iterator of which there are no copies, and that may be stepped ahead."""
    return type(owner) in FLOWING


def why_not_ahead(
    owner: Any,
    others: Iterable[Any],
    changed: Iterable[Any],
    is_value: Callable[[Any], bool],
) -> str:
    """Why an iterator can't be stepped ahead of the commits; empty if it can.

    Parameters
    ----------
    owner
        The iterator.
    others
        What else the loop iterates over, reads or changes.
    changed
        Those of them that it changes.
    is_value
        Whether something is a plain value.
    """
    behind: dict[int, Any] = {}
    for part in _behind(owner):
        if part is _MORE or not (is_value(part) or _is_known(part)):
            return "it may give, or run, more than plain values"
        behind[id(part)] = part
    if any(id(value) in behind for value in changed):
        return "the loop changes what it takes from"
    steps = {i for i, part in behind.items() if hasattr(part, "__next__")}
    for value in others:
        if any(part is _MORE or id(part) in steps for part in _reached(value)):
            return "something else in the loop may step it too"
    return ""


_MORE: Final = object()


def _behind(owner: Any) -> Iterator[Any]:
    """An iterator, and all that it takes from."""
    return _walk(owner, _taken_from)


def _taken_from(part: Any) -> list[Any]:
    if isinstance(part, io.TextIOWrapper):
        return []
    if isinstance(part, types.GeneratorType):
        frame = part.gi_frame
        return [] if frame is None else [*frame.f_locals.values(), *_named(frame)]
    inside = gc.get_referents(part) if type(part) in _PARTS or type(part) in _CONTAINERS else []
    if type(part) in _CONTAINERS:  # what it gives would be no plain value
        inside = [_MORE if isinstance(other, _CHANGEABLE) else other for other in inside]
    return inside


def _named(frame: types.FrameType) -> Iterator[Any]:
    """What a generator's code names outside of it: `_MORE` for anything but known builtins."""
    codes = [frame.f_code]
    while codes:
        code = codes.pop()
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
        for name in code.co_names:
            shadowed = name in frame.f_globals
            value = _MORE if shadowed else frame.f_builtins.get(name, _MORE)
            yield value


def _reached(value: Any) -> Iterator[Any]:
    return _walk(value, _referents)


def _referents(value: Any) -> list[Any]:
    if isinstance(value, types.ModuleType | type | types.FunctionType | types.BuiltinFunctionType):
        names = ("__closure__", "__defaults__", "__kwdefaults__", "__dict__")
        return [getattr(value, n, None) for n in names if isinstance(value, types.FunctionType)]
    return [other for other in gc.get_referents(value) if gc.is_tracked(other)]


def _walk(root: Any, inside: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
    """Objects that are reached from one, it included; `_MORE` at the end if there are many."""
    seen, open_ = {id(root)}, [root]
    while open_:
        part = open_.pop()
        yield part
        for other in inside(part):
            if id(other) not in seen:
                seen.add(id(other))
                open_.append(other)
        if len(seen) > _MOST:
            yield _MORE
            return


def _is_known(part: Any) -> bool:
    if type(part) in _PARTS or type(part) in _CONTAINERS:
        return not isinstance(part, io.TextIOWrapper) or part.readable()
    return isinstance(part, itertools.count) or _is_called(part)


def _is_called(part: Any) -> bool:
    return isinstance(part, type | types.BuiltinFunctionType) and part in _CALLED
