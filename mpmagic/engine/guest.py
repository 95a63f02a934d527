"""Work in a process that isn't a worker of mpmagic's own pool: the worker's half.

`run_as_guest` is what other executors are asked to call. It finds out whose process this is, has
the large parcels that were sent before, and leaves the process as it was.
"""

from __future__ import annotations

import os
import random
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from mpmagic.engine.guards import guarded
from mpmagic.pool import Parcel
from mpmagic.run.descriptors import capturing
from mpmagic.run.packed import Packed
from mpmagic.run.routing import Patches, routed
from mpmagic.run.state import ProcessState
from mpmagic.run.tenancy import Post, Tenancy, at_post, post

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
_others: Final = random.Random()
_STREAM: Final = random.random.__self__  # type: ignore[attr-defined]
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
    before, patches = ProcessState.for_others(), Patches()
    _leave_stream_alone(patches)
    try:
        with routed(), capturing(), at_post(_guest):
            yield
    finally:
        patches.undo()
        before.apply()


def _leave_stream_alone(patches: Patches) -> None:
    """Have the process's other threads draw from a stream of their own.

    Dask's event loop draws from that of `random`, which would be taken for the work's doing, and
    would make other numbers of the streams that `--seed` gives.
    """
    for name, method in list(vars(random).items()):
        if getattr(method, "__self__", None) is _STREAM and not name.startswith("_"):
            patches.set(random, name, _drawing(method, getattr(_others, name)))


def _drawing(own: Callable[..., Any], others: Callable[..., Any]) -> Callable[..., Any]:
    def draw(*arguments: Any, **named: Any) -> Any:
        return (others if post() is None else own)(*arguments, **named)

    return draw


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
