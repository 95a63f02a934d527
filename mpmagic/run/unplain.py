"""What can change in a user's module and is no plain data: generators, queues, objects, closures.

A worker has its own of these, made by the import. What the work changes of them the notebook would
have kept; a generator of random numbers would give every worker the same ones.
"""

from __future__ import annotations

import collections
import io
import itertools
import pickle
import random
import types
from collections.abc import Container, Iterator
from typing import Any, Final

from mpmagic.run.watch import cached_names, enclosed, state_of

__all__ = ["states_in"]

_LARGEST: Final = 1 << 18
"""Bytes of a state: what is larger isn't looked at."""

_KNOWN: Final = frozenset(
    {random.Random, collections.deque, collections.defaultdict, collections.OrderedDict,
     collections.Counter, io.StringIO, io.BytesIO}
)  # fmt: skip


def states_in(module: types.ModuleType, plain: Container[str]) -> dict[str, bytes]:
    """By path, what tells the states of a module's objects and functions from others.

    Parameters
    ----------
    module
        Of the user's.
    plain
        Paths of its plain data, which are looked at elsewhere.
    """
    found: dict[str, bytes] = {}
    for path, value in _members(module, module.__name__):
        if path in plain:
            continue
        if (state := _pickled(value, module.__name__)) is not None:
            found[path] = state
    return found


def _members(module: types.ModuleType, name: str) -> Iterator[tuple[str, Any]]:
    for key, value in list(vars(module).items()):
        if key.startswith("__"):
            continue
        if isinstance(value, type) and value.__module__ == name:
            yield from ((f"{key}.{n}", v) for n, v in list(vars(value).items()) if _may_change(v))
        elif _may_change(value):
            yield key, value


def _may_change(value: Any) -> bool:
    """Whether it's there, and nothing that goes by its name."""
    return value is not None and not isinstance(value, type | types.ModuleType)


def _pickled(value: Any, module: str) -> bytes | None:
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, types.FunctionType):
        functions = enclosed(value)
        value = [state_of(function) for function in functions]
        if not any(any(part) for part in value):
            return b""  # as most are
    file = _Limited()
    try:
        _StatePickler(file, module).dump(value)
    except Exception:  # too large, too deep, or nothing that can be looked into
        return None
    return file.getvalue()


class _Limited(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > _LARGEST:
            raise OverflowError
        return super().write(data)


class _StatePickler(pickle.Pickler):
    """Pickles what can be told apart; of all else only that it's there."""

    def __init__(self, file: io.BytesIO, module: str) -> None:
        super().__init__(file, protocol=5)
        self._module = module

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if obj is _seen or kind in _KNOWN or str(kind.__module__).startswith("numpy.random"):
            return NotImplemented
        if kind is itertools.count:
            return _seen, (repr(obj),)
        if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            return NotImplemented if obj.nbytes < _LARGEST else (_seen, (obj.shape,))
        if kind.__module__ == self._module and not issubclass(kind, type):
            return _seen, tuple(_parts(obj, kind))
        return _seen, ()


def _parts(obj: Any, kind: type) -> Iterator[Any]:
    """What an object of a class of the module's holds, without asking its own methods."""
    cached = cached_names(kind)
    yield {n: v for n, v in getattr(obj, "__dict__", {}).items() if n not in cached}
    for base in kind.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, types.MemberDescriptorType):
                yield name, getattr(obj, name, None)
    if isinstance(obj, list | tuple | set | frozenset):
        yield list(obj)
    elif isinstance(obj, dict):
        yield list(dict.items(obj))


def _seen(*parts: Any) -> None:
    """What stands for an object in a pickle that nobody loads."""
