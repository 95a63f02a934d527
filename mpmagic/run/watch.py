"""Whether the work changed what the notebook would have kept.

What a worker was sent is compared with what it holds later: each captured value is pickled right
after it was loaded and again after chunks. Where the pickles differ the values are compared, so
that a cache inside an object (`functools.cached_property`) is no false alarm. The global streams
of `random` and `numpy.random` are watched too: a library that draws from them would give other
numbers than the serial loop.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.run.codec import Encoder, Side, digest

__all__ = ["DrawWatch", "Watch", "cached_names", "is_inert"]

_ATOMS: Final = (int, float, complex, bool, str, bytes, type(None), range, slice)


def is_inert(value: Any) -> bool:
    """Whether nothing that holds the value can change it."""
    kind = type(value)
    if kind in _ATOMS or isinstance(value, types.ModuleType):
        return True
    if isinstance(value, types.BuiltinFunctionType):
        return _owner(value) is None
    if kind in (tuple, frozenset):
        return len(value) <= 16 and all(is_inert(v) for v in value)
    if isinstance(value, type | types.FunctionType):
        return getattr(value, "__module__", "__main__") != "__main__"
    return False


def _owner(method: types.BuiltinFunctionType) -> Any:
    """The object of a method such as ``[].append``; None for a function of a module."""
    owner: Any = method.__self__
    return None if isinstance(owner, types.ModuleType | type) else owner


class Watch:
    """Compares captured values with what they were.

    Parameters
    ----------
    side
        The program's side.
    values
        The captured values to watch, as they were loaded just now.
    """

    def __init__(self, side: Side, values: dict[str, Any]) -> None:
        self._side = side
        self._values = {n: v for n, v in values.items() if not is_inert(v)}
        self._baseline = {n: self._digest(v) for n, v in self._values.items()}

    def changed(self) -> list[str]:
        """Names of the captured values that aren't what they were."""
        return [n for n, v in self._values.items() if self._digest(v) != self._baseline[n]]

    def _digest(self, value: Any) -> bytes:
        return fingerprint(value, self._side)


def fingerprint(value: Any, side: Side) -> bytes:
    """A digest of what can be seen of a value; empty where it can't be pickled."""
    # Classes by reference: what pickling a class gives differs from one time to the next.
    plain = Side(side.namespace, class_ids=side.class_ids)
    try:
        return digest(Encoder(plain, by_reference=True).encode(_visible(value)))
    except Exception:
        # It arrived by a way of its own (a reducer that needs the other side): not comparable.
        return b""


def _visible(value: Any) -> Any:
    """What the user can see of a value, in a form whose pickle is stable."""
    if isinstance(value, type):
        own = {n: v for n, v in vars(value).items() if not n.startswith(("__", "_abc_"))}
        return {n: _visible(v) for n, v in own.items()}
    if isinstance(value, staticmethod | classmethod):
        return _visible(value.__func__)
    if isinstance(value, types.FunctionType):
        cells = [c.cell_contents for c in value.__closure__ or () if c != types.CellType()]
        seen = [c for c in cells if not isinstance(c, type | types.FunctionType)]
        return (value.__defaults__, value.__kwdefaults__, _plain_state(value), seen)
    if isinstance(value, types.BuiltinFunctionType):
        return (value.__name__, _owner(value))
    if isinstance(value, property | types.MemberDescriptorType) or callable(value):
        return None if not hasattr(value, "__dict__") else value
    cached = cached_names(type(value))
    if cached and "__reduce__" not in vars(type(value)):
        return (type(value), {n: v for n, v in vars(value).items() if n not in cached})
    return value


def _plain_state(function: types.FunctionType) -> dict[str, Any]:
    return {n: v for n, v in vars(function).items() if n != "__wrapped__"}


def cached_names(kind: type) -> set[str]:
    """Names of a class's `functools.cached_property`: what they keep is no change."""
    return {
        name
        for base in kind.__mro__
        for name, value in vars(base).items()
        if isinstance(value, functools.cached_property)
    }


def changed_items(items: Iterable[Any], before: list[bytes], side: Side) -> list[int]:
    """Positions of the items that aren't what they were."""
    after = [fingerprint(item, side) for item in items]
    return [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]


class DrawWatch:
    """Tells whether the global random streams have moved since it was made."""

    def __init__(self) -> None:
        self._python = random.getstate()
        self._numpy = _numpy_state()

    def moved(self) -> str:
        """The name of the module whose stream has moved, empty for none."""
        if random.getstate() != self._python:
            return "random"
        now = _numpy_state()
        # A stream that came into being meanwhile was seeded by chance, not by the notebook.
        if self._numpy is not None and now != self._numpy:
            return "numpy.random"
        return ""


def _numpy_state() -> tuple[Any, ...] | None:
    module = sys.modules.get("numpy.random")
    if module is None:
        return None
    name, key, position, has_gauss, gauss = module.get_state()
    return name, key.tobytes(), position, has_gauss, gauss
