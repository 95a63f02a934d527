"""Work in a process that isn't a worker of mpmagic's own pool: the worker's half.

`run_as_guest` is what other executors are asked to call. It finds out whose process this is, has
the large parcels that were sent before, and leaves the process as it was.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from mpmagic.engine.guards import guarded
from mpmagic.pool import Parcel
from mpmagic.run.codec import Packed
from mpmagic.run.routing import routed
from mpmagic.run.state import ProcessState
from mpmagic.run.tenancy import Post, Tenancy, at_post

__all__ = ["Home", "Known", "Missing", "here", "run_as_guest", "stationed"]

_KEPT_BYTES: Final = 1 << 30
_UNIQUE: Final = uuid.uuid4().hex


class Home(NamedTuple):
    """A process, told from all others: a forked one has another number."""

    unique: str
    pid: int


def here() -> Home:
    """This process."""
    return Home(_UNIQUE, os.getpid())


class Known(NamedTuple):
    """Stands for a parcel that the worker has, if it was one of those that it was sent to."""

    key: bytes


class Missing(NamedTuple):
    """A worker's answer that it hasn't got a parcel: nothing ran."""

    keys: tuple[bytes, ...]


class _Station(threading.local):
    """A thread's post in the notebook's process; kept, since it holds programs."""

    def __init__(self) -> None:
        self.post = Post(Tenancy.COMPANION)


_station: Final = _Station()
_guest: Final = Post(Tenancy.GUEST)
_turn: Final = threading.Lock()
_parcels: Final[OrderedDict[bytes, Parcel]] = OrderedDict()


def run_as_guest(home: Home, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of `mpmagic.run`'s beside whatever else this process does.

    Parameters
    ----------
    home
        The notebook's process.
    function, *arguments
        The call; parcels among the arguments may be `Known`.

    Returns
    -------
    object
        What it returns, or `Missing`.
    """
    if home == here():
        with stationed():
            result = function(*arguments)
            return result.apart() if isinstance(result, Packed) else result
    with _turn:  # of a process with several threads each may be asked
        taken = [_taken(argument) for argument in arguments]
        if missing := tuple(a.key for a in taken if isinstance(a, Known)):
            return Missing(missing)
        with _visiting():
            return function(*taken)


@contextmanager
def stationed() -> Iterator[Post]:
    """While open, this thread of the notebook's process is at its post."""
    own = _station.post
    own.refused, own.filters, own.filters_before = "", None, None
    with routed(), guarded(), at_post(own):
        yield own


@contextmanager
def _visiting() -> Iterator[None]:
    before = ProcessState.of_this_process()
    try:
        with routed(), at_post(_guest):
            yield
    finally:
        before.apply()


def _taken(argument: Any) -> Any:
    if isinstance(argument, Known):
        found = _parcels.get(argument.key)
        if found is not None:
            _parcels.move_to_end(argument.key)
        return found or argument
    if isinstance(argument, Parcel) and argument.key not in _parcels:
        _parcels[argument.key] = argument
        while len(_parcels) > 1 and sum(_size(p) for p in _parcels.values()) > _KEPT_BYTES:
            _parcels.popitem(last=False)
    return argument


def _size(parcel: Parcel) -> int:
    return int(parcel.payload.nbytes)
