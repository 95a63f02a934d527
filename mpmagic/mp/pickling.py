"""Objects between processes that the notebook starts itself: cloudpickle, and what it must know.

Definitions of the notebook travel by value, but arrive only where they aren't yet: unpickling an
instance of a notebook's class in the kernel must not undo what the kernel has changed in the class
since. Functions that were written in ``__main__`` meet again in the child's ``__main__``, so that a
global that one of them sets is seen by the others.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
import weakref
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, ClassVar, Final, NamedTuple

import cloudpickle
from cloudpickle import cloudpickle as internals

from mpmagic.mp.sources import Sources, add_sources, sources_of
from mpmagic.mp.structures import reduce_structure, reduce_value
from mpmagic.pool.attaching import HANDLES
from mpmagic.pool.codeobject import DISPATCH_TABLE

__all__ = ["EnterMain", "Travelling", "carried", "dumps", "enter_main", "loads", "name_classes"]

_PLAIN: Final = frozenset((int, float, complex, bool, str, bytes, type(None)))
_SMALLEST_BUFFER: Final = 1 << 14

Apart = Callable[[pickle.PickleBuffer], object]


def dumps(value: Any, buffer_callback: Apart | None = None) -> tuple[bytes, Sources]:
    """Pickle a value; give its bytes, and the cells that its functions were written in.

    Parameters
    ----------
    value : object
    buffer_callback : callable, optional
        As that of a pickler: takes what stays out of the bytes.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, buffer_callback)
    pickler.dump(value)
    return file.getvalue(), sources_of(pickler.files)


def loads(data: bytes, sources: Sources, *buffers: Any) -> Any:
    """Give a value that `dumps` took down."""
    add_sources(sources)
    return pickle.loads(data, buffers=buffers)


def carried(value: Any) -> Any:
    """Take down a value now, in what unpickles as the value itself.

    The standard library's queues pickle in a thread of theirs, later, and drop what can't be
    pickled: whoever waits for it waits for ever.
    """
    return value if type(value) in _PLAIN else _Carried(*dumps(value))


class _Carried(NamedTuple):
    data: bytes
    sources: Sources

    def __reduce__(self) -> tuple[Any, ...]:
        return loads, tuple(self)


class Travelling:
    """Stands for a value that is taken down by `dumps` when it is pickled, and unpickles as it.

    Its large buffers are left to the pickler that it is pickled by.

    Parameters
    ----------
    value : object
    """

    def __init__(self, value: Any) -> None:
        self._value = value

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if protocol < 5:
            return loads, dumps(self._value)
        buffers: list[pickle.PickleBuffer] = []
        pickled = dumps(self._value, partial(_keep_in_band, buffers))
        return loads, (*pickled, *buffers)


def _keep_in_band(buffers: list[pickle.PickleBuffer], buffer: pickle.PickleBuffer) -> bool:
    if buffer.raw().nbytes < _SMALLEST_BUFFER:
        return True
    buffers.append(buffer)
    return False


class EnterMain:
    """Has `enter_main` called where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return enter_main, ()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    # What multiprocessing knows of pipes, sockets and shared memory it keeps in a table of its own.
    dispatch_table: ClassVar[Any] = ChainMap(
        DISPATCH_TABLE,
        HANDLES,
        ForkingPickler._extra_reducers,  # type: ignore[attr-defined]
    )

    def __init__(self, file: io.BytesIO, buffer_callback: Apart | None) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self.files: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.CodeType:
            self.files.add(obj.co_filename)
            return NotImplemented
        if kind is _Main:
            return _main_here, ()
        if kind is types.FunctionType:
            return self._reduce_function(obj)
        if isinstance(obj, type):
            return self._reduce_class(obj)
        return reduce_value(obj) or super().reducer_override(obj)

    def _reduce_function(self, function: types.FunctionType) -> Any:
        if function.__globals__.get("__name__") == "__main__":
            self.globals_ref.setdefault(id(function.__globals__), _Main(__name__="__main__"))
        reduced = super().reducer_override(function)
        return reduced if reduced is NotImplemented else (*reduced[:5], _set_up_function)

    def _reduce_class(self, kind: type) -> Any:
        if (reduced := reduce_structure(kind)) is None:
            reduced = super().reducer_override(kind)
        if reduced is NotImplemented or len(reduced) < 6:  # an importable or a built-in class
            return reduced
        make, arguments, state, _, _, set_up = reduced
        return _class_here, (make, arguments, set_up), state, None, None, _set_up_class


class _Main(dict[str, Any]):
    """Stands, in a pickle, for the globals of ``__main__``."""


_main: dict[str, Any] | None = None
_arrived: dict[str, Any] = {}


def enter_main() -> None:
    """Let the notebook's functions and classes that arrive from now on meet in ``__main__``.

    For processes that were started for them. Anywhere else what arrives must not touch it.
    """
    global _main
    _main = vars(sys.modules["__main__"])


def name_classes() -> None:
    """Give each class of ``__main__`` the name by which pickles know it, before a fork.

    What both sides of the fork know is then the same class when it comes back.
    """
    _name_classes_in(vars(sys.modules["__main__"]))


def _name_classes_in(names: Mapping[str, Any]) -> None:
    for value in list(names.values()):
        if not isinstance(value, type) or value.__module__ != "__main__":
            continue
        if value not in internals._DYNAMIC_CLASS_TRACKER_BY_CLASS:
            internals._get_or_create_tracker_id(value)
            _name_classes_in(vars(value))


def _main_here() -> dict[str, Any]:
    return {"__name__": "__main__"} if _main is None else _main


def _set_up_function(function: types.FunctionType, state: tuple[Any, Any]) -> None:
    if function.__globals__ is _main:
        captured = state[1]["__globals__"]
        news = {n: value for n, value in captured.items() if _may_set(n)}
        _arrived.update(news)
        state[1]["__globals__"] = news
    internals._function_setstate(function, state)


def _may_set(name: str) -> bool:
    """Say whether a global has not been set by the process's own code."""
    assert _main is not None
    return name not in _main or (name in _arrived and _main[name] is _arrived[name])


_unfinished: weakref.WeakKeyDictionary[type, Callable[..., object]] = weakref.WeakKeyDictionary()


def _class_here(make: Callable[..., type], arguments: tuple[Any, ...], set_up: Any) -> type:
    """Find the class, or begin to make it."""
    tracker = arguments[-2]
    is_known = tracker in internals._DYNAMIC_CLASS_TRACKER_BY_ID
    kind = make(*arguments)
    if not is_known:
        _unfinished[kind] = set_up
        if _main is not None and kind.__module__ == "__main__" and _may_set(kind.__qualname__):
            # For the standard library's own pickles, and for functions that come after it.
            _main[kind.__qualname__] = _arrived[kind.__qualname__] = kind
    return kind


def _set_up_class(kind: type, state: Any) -> None:
    set_up = _unfinished.pop(kind, None)
    if set_up is not None:
        set_up(kind, state)
