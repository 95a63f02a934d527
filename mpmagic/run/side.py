"""The two ends of the way, and what unpickling at one of them refers to there."""

from __future__ import annotations

import pickle
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from cloudpickle import cloudpickle as internals

from mpmagic.run.nans import Nans

__all__ = ["Side", "fetch_captured", "fetch_class", "here", "nan", "reading_on"]

_NO_IDENTITY: Final = (int, float, complex, str, bytes, type(None), types.ModuleType)


@dataclass(slots=True)
class Side:
    """One end of the way: the kernel's, or one program's in a worker.

    Attributes
    ----------
    namespace
        The globals of the notebook's functions on this side.
    captured
        Captured values by name, as this side has them.
    class_ids
        Classes of the notebook that both sides know, by cloudpickle's identifiers.
    nans
        The NaNs that both sides know.
    """

    namespace: dict[str, Any]
    captured: Mapping[str, Any] = field(default_factory=dict)
    class_ids: set[str] = field(default_factory=set)
    nans: Nans = field(default_factory=Nans)

    def references(self) -> dict[int, str]:
        """Names of captured objects by identity, those apart that have none."""
        return {id(v): n for n, v in self.captured.items() if not isinstance(v, _NO_IDENTITY)}


class _Current(threading.local):
    side: Side | None = None


_current = _Current()


@contextmanager
def reading_on(side: Side) -> Iterator[None]:
    """While open, what is unpickled in this thread is this side's."""
    before, _current.side = _current.side, side
    try:
        yield
    finally:
        _current.side = before


def here() -> Side:
    """The side that this thread unpickles on.

    Raises
    ------
    UnpicklingError
        If somebody else unpickles what was meant for it.
    """
    if _current.side is None:
        raise pickle.UnpicklingError("a notebook's value can only be read by mpmagic itself")
    return _current.side


def nan(number: int, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A NaN that has a number: this side's own, made if it hasn't got it."""
    nans = here().nans
    value = nans.known(number)
    if value is None:
        value = make(*arguments)
        nans.keep(number, value)
    return value


def fetch_captured(name: str) -> Any:
    """A captured value."""
    return here().captured[name]


def fetch_class(identifier: str) -> type:
    """A class of the notebook."""
    kind: type = internals._DYNAMIC_CLASS_TRACKER_BY_ID[identifier]
    return kind
