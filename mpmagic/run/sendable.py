"""Whether values can be sent to workers, as far as that shows soon, before anything has run.

What a loop reads is pickled when the loop is reached. To see beforehand whether that can be done
at all, a beginning of each value is enough in most cases; where it isn't, the loop stays in the
kernel when it is reached.
"""

from __future__ import annotations

import contextlib
import io
import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.run.capture import globals_of, unsendable
from mpmagic.run.codec import Encoder
from mpmagic.run.lent import is_lending
from mpmagic.run.side import Side

__all__ = ["check_values", "is_small"]

_ENOUGH_BYTES: Final = 1 << 18


class _Enough(Exception):
    """So much has been pickled that the rest may be taken for granted."""


class _Beginning(io.BytesIO):
    """A file that takes the beginning of a pickle; a pickler writes it in pieces."""

    def write(self, data: Any, /) -> int:
        if self.tell() > _ENOUGH_BYTES:
            raise _Enough
        return super().write(data)


def is_small(value: Any, namespace: dict[str, Any]) -> bool:
    """Whether a value's pickle, buffers included, has no more bytes than are looked at here."""
    encoder = Encoder(Side(namespace), by_reference=False, file=_Beginning())
    try:
        return encoder.encode(value).nbytes <= _ENOUGH_BYTES
    except _Enough:
        return False


def check_values(
    names: Iterable[str], namespace: dict[str, Any], local: frozenset[str] = frozenset()
) -> None:
    """Look at the values of names, and at those of what functions among them read.

    Parameters
    ----------
    names
        The names; those that aren't bound are left out.
    namespace
        The user's namespace.
    local
        Names of which each worker keeps its own.

    Raises
    ------
    UnsendableValue
        If one of them can't be pickled; it names it.
    """
    shared = local if is_lending() else frozenset[str]()  # threads have the objects themselves
    waiting, seen = set(names), set(shared)
    while waiting := (waiting & namespace.keys()) - seen:
        seen |= waiting
        for name in sorted(waiting):
            try:
                functions = _functions_in(namespace[name], namespace)
            except Exception as error:
                raise unsendable(name, namespace[name], error) from error
            waiting |= globals_of(functions)


def _functions_in(value: Any, namespace: dict[str, Any]) -> list[types.FunctionType]:
    """Functions of the notebook's that are met in the beginning of a value's pickle."""
    encoder = Encoder(Side(namespace), by_reference=False, file=_Beginning())
    with contextlib.suppress(_Enough):
        encoder.dump_alone(value)
    return encoder.functions
