"""Variables of a worker's frames, for those who look at an exception's traceback."""

from __future__ import annotations

import datetime
import decimal
import fractions
import itertools
import pathlib
from collections.abc import Callable
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from mpmagic.pool.traces import Seen

if TYPE_CHECKING:
    from mpmagic.run.program import Program

__all__ = ["shortened", "variables_of"]

_FRAMES: Final = 50
"""Frames of a traceback whose variables travel; a RecursionError has a thousand."""


_LENGTH: Final = 1000
_PARTS: Final = 64
_DEPTH: Final = 3
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)
_HARMLESS: Final = (
    type, ModuleType, FunctionType, BuiltinFunctionType, datetime.date, datetime.datetime,
    datetime.timedelta, decimal.Decimal, fractions.Fraction, pathlib.PosixPath,
    pathlib.WindowsPath, range,
)  # fmt: skip
"""Types that say what they hold without running code of the user's, or for long."""


def variables_of(program: Program) -> Callable[[FrameType], dict[str, Any]]:
    """Gives the variables of the frames of one traceback, outermost first."""
    count = itertools.count()

    def variables(frame: FrameType) -> dict[str, Any]:
        known = _known(frame, program)
        if next(count) >= _FRAMES:
            return dict.fromkeys(known, _UNKNOWN)
        verbose = program.source.verbose
        return {name: _travelling(value, verbose=verbose) for name, value in known.items()}

    return variables


_UNKNOWN: Final = Seen()


def _known(frame: FrameType, program: Program) -> dict[str, Any]:
    if frame.f_code is program.source.work:
        namespace = program.side.namespace
        return {name: namespace[name] for name in program.source.private if name in namespace}
    return frame.f_locals if frame.f_locals is not frame.f_globals else {}


def _travelling(value: Any, *, verbose: bool) -> Any:
    if _is_plain(value):
        return value
    kind = type(value)
    if verbose or kind in _HARMLESS or kind.__module__ == "numpy":
        return Seen(shortened(value))
    return Seen(f"<{kind.__qualname__} in a worker>")


def shortened(value: Any) -> str:
    """What a value says that it is, if that isn't long."""
    try:
        text = repr(value)
    except Exception:  # a `__repr__` of the user's
        kind = type(value)
        return f"<class '{kind.__module__}.{kind.__qualname__}'> instance"  # as IPython says it
    return text if len(text) <= _LENGTH else text[:_LENGTH] + "..."


def _is_plain(value: Any, depth: int = _DEPTH) -> bool:
    """Whether a value is small and of builtin types alone, all its parts included."""
    kind = type(value)
    if kind in (str, bytes):
        return len(value) <= _LENGTH
    if kind in _CONTAINERS:
        parts = (*value, *value.values()) if kind is dict else tuple(value)
        return len(parts) <= _PARTS and depth > 0 and all(_is_plain(p, depth - 1) for p in parts)
    if kind is int:
        return bool(value.bit_length() <= _LENGTH)
    return kind in (bool, float, complex, type(None))
