"""Whether workers have to look if the work has changed what it captured.

To look they pickle all of it, when it has come and again when the loop is over. Plain values that
the source surely leaves as they are needn't be looked at.
"""

from __future__ import annotations

import builtins
import functools
import types
from collections.abc import Iterator
from typing import Any

from mpmagic.cell.functions import source_of
from mpmagic.cell.onlyreads import PLAIN_BUILTINS, globals_read
from mpmagic.cell.split import SplitLoop
from mpmagic.puremodules import is_of_pure_module
from mpmagic.run.capture import Captured
from mpmagic.run.watch import are_inert

__all__ = ["is_watched"]

_PLAIN = (list, tuple, dict, set, frozenset, bytearray, str, bytes, int, float, bool, type(None))


def is_watched(split: SplitLoop, captured: Captured) -> bool:
    """Whether the work may change what was captured, for all that the source says.

    Parameters
    ----------
    split
        The loop.
    captured
        What its work reads.
    """
    values = captured.values
    if are_inert(values.values()):
        return False
    if not captured.plain or captured.own or split.slices or split.fresh or split.prepared.names:
        return True
    if not all(_is_harmless(value, captured) for value in values.values()):
        return True
    bound = split.private | split.targets
    if PLAIN_BUILTINS.keys() & (values.keys() | bound):
        return True
    known = values.keys() | bound
    return not all(
        names is not None and all(map(_is_builtin, names - known))
        for names in _read_by(split, captured)
    )


def _is_harmless(value: Any, captured: Captured) -> bool:
    if isinstance(value, types.FunctionType) and any(value is f for f in captured.functions):
        return True
    return type(value) in _PLAIN or is_of_pure_module(value)


def _read_by(split: SplitLoop, captured: Captured) -> Iterator[frozenset[str] | None]:
    """Names that the work reads, and those that each function reads; None where it may change."""
    yield globals_read(split.work.body, split.targets | captured.values.keys())
    for function in captured.functions:
        yield _read_by_function(function.__code__)


@functools.lru_cache(maxsize=256)
def _read_by_function(code: types.CodeType) -> frozenset[str] | None:
    node = source_of(code)
    return None if node is None else globals_read(node)


def _is_builtin(name: str) -> bool:
    if name.startswith("."):  # what the worker gives to its half of the loop
        return True
    known = PLAIN_BUILTINS.get(name)
    return known is not None and getattr(builtins, name, None) is known
