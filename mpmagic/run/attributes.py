"""What can be told of the attributes of a module: its plain data, and what its names refer to.

The kernel and the workers look at their modules in the same way and compare: what differs was
rebound or changed since the import. Classes of the module, and objects that are mere bags of
attributes, are looked into as well; ``"Model.limit"`` is a path.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import types
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Attributes", "look_at", "pickled_if_plain"]

_ATOMS: Final = frozenset(
    {int, float, complex, bool, str, bytes, type(None), type(...), range,
     datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
     decimal.Decimal, fractions.Fraction, uuid.UUID,
     *(type(cls()) for cls in (pathlib.Path, pathlib.PurePath))}
)  # fmt: skip
# By name: argparse takes a millisecond to import, which the first cell would wait for.
_BAGS: Final = {("types", "SimpleNamespace"), ("argparse", "Namespace")}

_BUDGET: Final = 10_000
"""Objects in one value, or kilobytes of text: what is larger isn't looked at."""


@dataclass(slots=True)
class Attributes:
    """The attributes of a module that can be compared.

    Attributes
    ----------
    data
        Plain data by path, pickled.
    references
        By path, module and qualified name of functions and classes.
    paths
        All paths that there are, of other values too.
    """

    data: dict[str, bytes] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)

    def note(self, path: str, value: Any) -> None:
        """Take down one."""
        self.paths.add(path)
        pickled = pickled_if_plain(value)
        if pickled is not None:
            self.data[path] = pickled
        elif isinstance(value, type | types.FunctionType):
            self.references[path] = f"{value.__module__}:{value.__qualname__}"


def look_at(module: types.ModuleType) -> Attributes:
    """The attributes of a module of the user's."""
    found = Attributes()
    seen: set[int] = set()
    holders: list[tuple[str, Any]] = [("", module)]
    while holders:
        prefix, holder = holders.pop()
        for name, value in list(vars(holder).items()):
            if name.startswith("__"):
                continue
            found.note(prefix + name, value)
            if _is_holder(value, module) and id(value) not in seen:
                seen.add(id(value))
                holders.append((f"{prefix}{name}.", value))
    return found


def _is_holder(value: Any, module: types.ModuleType) -> bool:
    if isinstance(value, type):
        return value.__module__ == module.__name__ and not issubclass(value, enum.Enum)
    kind = type(value)
    if (kind.__module__, kind.__qualname__) in _BAGS:
        return True
    return kind.__module__ == module.__name__ and type(vars_of(value)) is dict


def vars_of(value: Any) -> Any:
    """The dictionary of an object, None if it has none."""
    return getattr(value, "__dict__", None)


def pickled_if_plain(value: Any) -> bytes | None:
    """The pickle of plain data; None for anything else, and for what is too large."""
    left = _BUDGET
    for part in _parts(value):
        left -= 1 if not isinstance(part, str | bytes) else 1 + len(part) // 1000
        if left < 0 or part is _OTHER:
            return None
    return pickle.dumps(value, protocol=5)


_OTHER: Final = object()


def _parts(value: Any) -> Iterator[Any]:
    kind = type(value)
    if kind in _ATOMS or isinstance(value, enum.Enum):
        yield value
    elif kind is dict:
        yield None
        for key, inner in value.items():
            yield from _parts(key)
            yield from _parts(inner)
    elif kind in (list, tuple, set, frozenset):
        yield None
        for inner in value:
            yield from _parts(inner)
    elif kind.__module__ == "numpy" and getattr(value, "nbytes", _BUDGET + 1) <= _BUDGET:
        yield _OTHER if value.dtype.hasobject else None
    else:
        yield _OTHER
