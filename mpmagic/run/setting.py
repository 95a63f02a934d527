"""What a setting is: something that changes what the same code gives, kept by a library for all."""

from __future__ import annotations

import operator
from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

__all__ = ["Remembered", "Setting"]


class Setting(NamedTuple):
    """A setting: how it is read, and how it is brought from what it is to what it shall be.

    Attributes
    ----------
    words
        What it is, as errors call it.
    read
        What it is now, in a form that can be pickled and compared; None while nobody has imported
        the library.
    change
        Brings it from what it is to what it shall be.
    default
        What it is where the library has just been imported.
    is_met
        Whether what it is will do for what it shall be.
    """

    words: str
    read: Callable[[], Any]
    change: Callable[[Any, Any], None]
    default: Any = None
    is_met: Callable[[Any, Any], bool] = operator.eq

    def differs(self, now: Any, wanted: Any) -> bool:
        """Whether it has to be changed; one of a library that isn't wanted is left alone."""
        if wanted is None:
            return False
        return not self.is_met(self.default if now is None else now, wanted)


class Remembered:
    """What was found in a mapping, for as long as that stays as it was.

    To compare a few hundred entries takes a few microseconds, a tenth of what it takes to tell
    which of them aren't at their defaults.

    Parameters
    ----------
    find
        Finds it.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._last: tuple[dict[Any, Any], Any] = ({self: None}, None)

    def within(self, content: dict[Any, Any]) -> Any:
        """What is found, `content` being what it is found in."""
        before, found = self._last  # in one: several threads may look
        if dict.__ne__(content, before):  # subclasses have slow ways of their own
            before, found = _copied(content), self._find()
            self._last = before, found
        return found


def _copied(value: Any) -> Any:
    """Lists in it may be changed in place."""
    if isinstance(value, dict):
        return {key: _copied(v) for key, v in list(dict.items(value))}
    return copy(value) if isinstance(value, list) else value
