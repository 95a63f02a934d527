"""Whether the work changed what the notebook would have kept.

What a worker was sent is compared with what it holds later: each captured value is pickled right
after it was loaded and again after chunks. Caches inside an object (`functools.cached_property`)
are left out; where the pickles of frames differ, what can be seen of them is compared, so that
what pandas remembers of a look into them is no false alarm. The global streams
of `random` and `numpy.random` are watched too: a library that draws from them would give other
numbers than the serial loop.
"""

from __future__ import annotations

import functools
import random
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mpmagic.run.codec import Encoder, Side, digest
from mpmagic.run.seen import SeenEncoder, holds_frames

__all__ = [
    "BOUND",
    "DrawWatch",
    "Fingerprint",
    "Watch",
    "cached_names",
    "changed_items",
    "fingerprint",
    "is_inert",
    "seen_digest",
]  # fmt: skip

BOUND: Final = (types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)
"""Callables that may be the methods of an object that they change."""

_ATOMS: Final = (int, float, complex, bool, str, bytes, type(None), range, slice)


def is_inert(value: Any) -> bool:
    """Whether nothing that holds the value can change it."""
    kind = type(value)
    if kind in _ATOMS or isinstance(value, types.ModuleType):
        return True
    if isinstance(value, types.BuiltinFunctionType):  # `len`, or the method of an object
        return is_inert(value.__self__)
    if kind in (tuple, frozenset):
        return len(value) <= 16 and all(is_inert(v) for v in value)
    if isinstance(value, type | types.FunctionType):
        return getattr(value, "__module__", "__main__") != "__main__"
    return False


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
        self._baseline = {n: fingerprint(v, side) for n, v in self._values.items()}

    def changed(self) -> list[str]:
        """Names of the captured values that aren't what they were."""
        return [n for n, v in self._values.items() if self._baseline[n].differs(v, self._side)]


@dataclass(slots=True)
class Fingerprint:
    """What tells a value from what it becomes.

    Attributes
    ----------
    pickled
        A digest of its pickle; empty where it can't be pickled.
    seen
        Of what holds frames, a digest of what can be seen of it; empty for others.
    """

    pickled: bytes
    seen: bytes = b""

    def differs(self, value: Any, side: Side) -> bool:
        """Whether the value isn't what it was."""
        now, _ = _digest(value, side, Encoder)
        if now == self.pickled:
            return False
        if not self.seen or seen_digest(value, side) != self.seen:
            return True
        self.pickled = now  # only a cache was filled, which needn't be found out again
        return False


def fingerprint(value: Any, side: Side) -> Fingerprint:
    """The fingerprint of a value as it is now."""
    pickled, modules = _digest(value, side, Encoder)
    if not pickled or not holds_frames(modules):
        return Fingerprint(pickled)
    seen = seen_digest(value, side)
    # Once more: to look into a frame fills its caches.
    return Fingerprint(_digest(value, side, Encoder)[0], seen)


def seen_digest(value: Any, side: Side) -> bytes:
    """A digest of what can be seen of a value; empty where it can't be pickled."""
    return _digest(value, side, SeenEncoder)[0]


def _digest(value: Any, side: Side, kind: type[Encoder]) -> tuple[bytes, set[str]]:
    """A digest of a pickle, and the modules that it needs."""
    # Classes by reference: what pickling a class gives differs from one time to the next.
    encoder = kind(Side(side.namespace, class_ids=side.class_ids), by_reference=True)
    try:
        return digest(encoder.encode(_visible(value))), encoder.modules
    except Exception:
        # It arrived by a way of its own (a reducer that needs the other side): not comparable.
        return b"", encoder.modules


def _visible(value: Any) -> Any:
    """What the user can see of a value, in a form whose pickle is stable."""
    if isinstance(value, type):
        own = {n: v for n, v in vars(value).items() if not n.startswith(("__", "_abc_"))}
        return {n: _visible(v) for n, v in own.items()}
    if isinstance(value, BOUND):
        return (value.__name__, _visible(value.__self__))
    if isinstance(value, staticmethod | classmethod):
        return _visible(value.__func__)
    if isinstance(value, types.FunctionType):
        cells = [c.cell_contents for c in value.__closure__ or () if c != types.CellType()]
        seen = [c for c in cells if not isinstance(c, type | types.FunctionType)]
        return (value.__defaults__, value.__kwdefaults__, _plain_state(value), seen)
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


def changed_items(items: Iterable[Any], before: list[Fingerprint], side: Side) -> list[int]:
    """Positions of the items that aren't what they were."""
    pairs = zip(before, items, strict=True)
    return [i for i, (known, item) in enumerate(pairs) if known.differs(item, side)]


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
