"""Process-wide things that each thread gets its own of while work runs in threads.

`sys.stdout` and `sys.stderr`, what `contextlib.redirect_stdout` does to them, records of `logging`,
and cloudpickle's tables of the notebook's classes. Nothing of it is looked up before the threads
ask: whoever isn't at a post, such as the kernel's main thread, sees what was there before, apart
from redirections of its own, which others don't see.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from cloudpickle import cloudpickle as internals

from mpmagic.run.tenancy import at_post, post

__all__ = [
    "BY_THE_WORK",
    "Patches",
    "directed",
    "has_lost_streams",
    "is_routed",
    "records_to",
    "routed",
]

_TABLES: Final = {
    "_DYNAMIC_CLASS_TRACKER_BY_CLASS": weakref.WeakKeyDictionary,
    "_DYNAMIC_CLASS_TRACKER_BY_ID": weakref.WeakValueDictionary,
}


BY_THE_WORK: Final[weakref.WeakSet[logging.Handler]] = weakref.WeakSet()
"""Handlers of `logging` that work has added in this process: the kernel hasn't got them."""


class _Directions(threading.local):
    """Where the present thread's text and records go, if not where all others' do."""

    def __init__(self) -> None:
        self.streams: dict[str, Any] = {}
        self.records: Callable[[Any, Any], None] | None = None


_directions = _Directions()


class _Router:
    """Stands for a stream of `sys`; what is asked of it, it asks of the thread's own.

    Parameters
    ----------
    name
        ``"stdout"`` or ``"stderr"``.
    ambient
        The stream of threads that have none of their own.
    """

    def __init__(self, name: str, ambient: Any) -> None:
        self._stream_name, self._ambient = name, ambient

    def __getattr__(self, name: str) -> Any:
        return getattr(_directions.streams.get(self._stream_name, self._ambient), name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__getattr__("__iter__")())


class _Table:
    """Stands for a table of cloudpickle's; threads at a post have tables of their own."""

    def __init__(self, name: str, ambient: Any) -> None:
        self._name, self._ambient = name, ambient

    @property
    def _own(self) -> Any:
        at = post()
        if at is None:
            return self._ambient
        return at.tables.setdefault(self._name, _TABLES[self._name]())

    def __getitem__(self, key: Any) -> Any:
        return self._own[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._own[key] = value

    def __contains__(self, key: Any) -> bool:
        return key in self._own

    def get(self, key: Any, default: Any = None) -> Any:
        return self._own.get(key, default)

    def setdefault(self, key: Any, value: Any) -> Any:
        return self._own.setdefault(key, value)

    def pop(self, key: Any, default: Any = None) -> Any:
        return self._own.pop(key, default)


_INHERITED: Final = object()


class Patches:
    """Attributes that are others for a while."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Make an attribute another one."""
        self._before.append((owner, name, vars(owner).get(name, _INHERITED), value))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Make them what they were; those that somebody has set since stay."""
        while self._before:
            owner, name, before, value = self._before.pop()
            if vars(owner).get(name) is not value:
                continue
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


_lock: Final = threading.Lock()
_patches: Final = Patches()
_left: Final[list[Patches]] = []
_users = 0


def is_routed() -> bool:
    """Whether threads have streams of their own at present."""
    return _users > 0


@contextmanager
def routed() -> Iterator[None]:
    """While open, by whomever, threads can have streams of their own."""
    global _users
    streams = Patches()
    with _lock:
        _users += 1
        if _users == 1:
            _install()
        _route_streams(streams)  # the notebook may have put others in their place meanwhile
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            _left.append(streams)
            if not _users:  # a thread that nobody waits for may have outlived its loop
                while _left:
                    _left.pop().undo()
                _patches.undo()


def _route_streams(patches: Patches) -> None:
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), _Router):
            patches.set(sys, name, _Router(name, getattr(sys, name)))


def has_lost_streams() -> bool:
    """Whether somebody has replaced the streams past `contextlib`, so that text went astray."""
    return not (isinstance(sys.stdout, _Router) and isinstance(sys.stderr, _Router))


def _install() -> None:
    for name in _TABLES:
        _patches.set(internals, name, _Table(name, getattr(internals, name)))
    redirection: Any = contextlib._RedirectStream
    _patches.set(redirection, "__enter__", _enter_redirection)
    _patches.set(redirection, "__exit__", _exit_redirection)
    _patches.set(logging.Logger, "handle", _handler(logging.Logger.handle))
    _patches.set(logging.Logger, "addHandler", _adder(logging.Logger.addHandler))
    _patches.set(logging, "basicConfig", _configurer(logging.basicConfig))
    _patches.set(threading.Thread, "start", _starter(threading.Thread.start))


def _enter_redirection(redirection: Any) -> Any:
    name, streams = redirection._stream, _directions.streams
    redirection._old_targets.append(streams.get(name))
    streams[name] = redirection._new_target
    return redirection._new_target


def _exit_redirection(redirection: Any, *_: object) -> None:
    _direct(redirection._stream, redirection._old_targets.pop())


def _direct(name: str, stream: Any) -> None:
    if stream is None:
        _directions.streams.pop(name, None)
    else:
        _directions.streams[name] = stream


def _handler(handle: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def routing(logger: logging.Logger, record: logging.LogRecord) -> None:
        (_directions.records or handle)(logger, record)

    return routing


def _adder(add: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def adding(logger: logging.Logger, handler: logging.Handler) -> None:
        if _directions.records is not None:
            BY_THE_WORK.add(handler)
        add(logger, handler)

    return adding


def _configurer(configure: Callable[..., None]) -> Callable[..., None]:
    def configuring(**options: Any) -> None:
        if options or _directions.records is None:
            configure(**options)
        else:  # `logging.warning` and its like call it: it is the kernel that has to show records
            _directions.records(None, None)

    return configuring


def _starter(start: Callable[[Any], None]) -> Callable[[Any], None]:
    def starting(thread: threading.Thread) -> None:
        """What the work's threads write, the work writes."""
        at, run = post(), thread.run
        streams, records = dict(_directions.streams), _directions.records

        def running() -> None:
            _directions.streams, _directions.records = streams, records
            with at_post(at):
                run()

        if at is not None:
            thread.run = running  # type: ignore[method-assign]
        start(thread)

    return starting


@contextmanager
def directed(stdout: Any, stderr: Any) -> Iterator[None]:
    """While open, this thread's text goes to these streams."""
    before = dict(_directions.streams)
    _directions.streams.update(stdout=stdout, stderr=stderr)
    try:
        yield
    finally:
        _directions.streams = before


@contextmanager
def records_to(keep: Callable[[Any, Any], None]) -> Iterator[None]:
    """While open, this thread's records of `logging` go to `keep`."""
    before, _directions.records = _directions.records, keep
    try:
        yield
    finally:
        _directions.records = before
