"""An engine without processes: tasks run at once, on values that went through a pickle.

For tests of the planner and the runner, thousands of cells a minute.
"""

from __future__ import annotations

import decimal
import pickle
import random
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as internals

from mpmagic.run.engine import Engine

__all__ = ["InlineEngine"]


class _Inline(Executor):
    """Runs each task when it is submitted, isolated like a worker's by pickling both ways."""

    def __init__(self) -> None:
        self._classes: tuple[Any, Any] = (
            weakref.WeakKeyDictionary(),
            weakref.WeakValueDictionary(),
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the call and return its outcome."""
        future: Future[Any] = Future()
        task = cloudpickle.dumps((fn, args, kwargs))
        try:
            with self._own_classes(), _own_filters(), _own_streams(), decimal.localcontext():
                function, arguments, named = pickle.loads(task)
                result = pickle.dumps(function(*arguments, **named), protocol=5)
            future.set_result(pickle.loads(result))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            future.set_exception(error)
        return future

    @contextmanager
    def _own_classes(self) -> Iterator[None]:
        """Classes of the notebook are others in a worker: loading them must not touch ours."""
        names = ("_DYNAMIC_CLASS_TRACKER_BY_CLASS", "_DYNAMIC_CLASS_TRACKER_BY_ID")
        before = [getattr(internals, name) for name in names]
        for name, table in zip(names, self._classes, strict=True):
            setattr(internals, name, table)
        try:
            yield
        finally:
            for name, table in zip(names, before, strict=True):
                setattr(internals, name, table)


@contextmanager
def _own_streams() -> Iterator[None]:
    """What a worker draws from its global streams doesn't move the notebook's."""
    streams: list[tuple[Callable[[Any], None], Any]] = [(random.setstate, random.getstate())]
    if (numpy := sys.modules.get("numpy.random")) is not None:
        streams.append((numpy.set_state, numpy.get_state()))
    try:
        yield
    finally:
        for put_back, state in streams:
            put_back(state)


@contextmanager
def _own_filters() -> Iterator[None]:
    """What a worker forgets to have warned of, where its filters change, the notebook doesn't."""
    before = _version_of_filters()
    try:
        yield
    finally:
        now = _version_of_filters()
        for module in list(sys.modules.values()) if now != before else ():
            registry = getattr(module, "__dict__", {}).get("__warningregistry__", {})
            if registry.get("version") == before:
                registry["version"] = now


def _version_of_filters() -> Any:
    """By which registries tell whether filters have changed; Python has no name for it."""
    registry: dict[Any, Any] = {}
    shown, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
    try:
        with suppress(Warning):  # filters may make an exception of it
            warnings.warn_explicit("", Warning, "", 0, registry=registry)
    finally:
        warnings.showwarning = shown
    return registry.get("version")


class InlineEngine(Engine):
    """Runs the work in this process and thread, on copies."""

    asks_each = True
    outlasts_cells = True
    sees_traces = True  # none: it has no processes of its own

    def __init__(self, workers: int = 2) -> None:
        super().__init__(_Inline(), workers)

    def ask_each(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        """The call once: there is one worker."""
        return [self.executor.submit(function, *arguments)]
