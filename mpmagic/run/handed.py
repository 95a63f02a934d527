"""Operands that the work may still change when a commit has been handed them.

The kernel commits later: it gets a copy where that says the same. Elsewhere the object is looked
at again when the iteration is over.
"""

from __future__ import annotations

import collections
import sys
from typing import Any, Final, NamedTuple

from mpmagic.run.side import Side
from mpmagic.run.watch import Fingerprint, fingerprint, is_inert

__all__ = ["Handed"]

_FLAT: Final = frozenset({list, dict, set, bytearray, collections.deque, collections.Counter})


class _Watched(NamedTuple):
    """An object, and what it was when a commit was handed it."""

    value: Any
    before: Fingerprint
    line: int
    text: str


class Handed:
    """What the commits of an iteration were handed.

    Parameters
    ----------
    side
        The program's side.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._watched: list[_Watched] = []

    def held(self, value: Any, copy: bool, line: int, text: str) -> Any:
        """The operand as it is sent.

        Parameters
        ----------
        value
            The operand.
        copy
            Whether a copy would do, since the commit only reads what is in it.
        line, text
            The commit's line and the operand's source, for a message.
        """
        if is_inert(value):
            return value
        if copy and _is_flat(value):
            return value.copy()
        self._watched.append(_Watched(value, fingerprint(value, self._side), line, text))
        return value

    def changed(self) -> str:
        """Which of them isn't any more what a commit was handed, in words; they are let go."""
        if not self._watched:
            return ""
        watched, self._watched = self._watched, []
        for one in watched:
            if fingerprint(one.value, self._side) != one.before:
                return (
                    f"the work changed the value of `{one.text}` after line {one.line}, a commit, "
                    f"was handed it; give the commit a copy, or run the cell without %%parallel"
                )
        return ""


def _is_flat(value: Any) -> bool:
    """Whether a shallow copy holds all that a change of the value could touch."""
    kind = type(value)
    if kind in _FLAT:
        parts = (*value.keys(), *value.values()) if isinstance(value, dict) else value
        return kind is bytearray or all(map(is_inert, parts))
    if (numpy := sys.modules.get("numpy")) is not None and kind is numpy.ndarray:
        return not value.dtype.hasobject
    pandas = sys.modules.get("pandas")
    return pandas is not None and kind in (pandas.DataFrame, pandas.Series)
