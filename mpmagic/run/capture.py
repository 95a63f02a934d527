"""Captured values: what a loop's work reads of the notebook, gathered and packed.

The source tells which names the work reads; which further globals the notebook's functions read
shows when they are pickled, since exactly those that can be reached are pickled then.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mpmagic.cell.functions import global_names
from mpmagic.errors import UnsendableValue
from mpmagic.run.codec import Encoder
from mpmagic.run.lent import is_lending, lend
from mpmagic.run.nans import Nans
from mpmagic.run.packed import Packed
from mpmagic.run.side import Side

__all__ = ["Captured", "capture", "classes_to_unpickle", "globals_of", "unsendable"]

_UNPICKLING: Final = frozenset({"pickle", "cloudpickle", "dill", "joblib", "shelve"})


@dataclass(frozen=True, slots=True)
class Captured:
    """Captured values, packed.

    Attributes
    ----------
    values
        The kernel's own objects by name.
    packed
        The same for the workers.
    own
        Those of which each worker keeps its own.
    class_ids
        Classes of the notebook among them.
    modules
        Names of modules whose functions and classes are among them.
    functions
        The notebook's functions among them.
    names
        All names that the work reads, those that aren't bound included.
    nans
        The NaNs among them.
    plain
        Whether nothing among them has code of its own, apart from these functions.
    """

    values: dict[str, Any]
    packed: Packed
    own: dict[str, Any]
    class_ids: frozenset[str]
    modules: frozenset[str]
    functions: tuple[types.FunctionType, ...]
    names: frozenset[str] = frozenset()
    nans: Nans = field(default_factory=Nans)
    plain: bool = False


def capture(
    names: Iterable[str],
    namespace: dict[str, Any],
    local: frozenset[str] = frozenset(),
    ready: Mapping[str, Any] | None = None,
    *,
    nans: Nans | None = None,
) -> Captured:
    """Gather the values of names, and of all that the functions among them read.

    Names that aren't bound are left out: the work raises the serial loop's `NameError`.

    Parameters
    ----------
    names
        The names.
    namespace
        The user's namespace.
    local
        Names of which each worker keeps its own.
    ready
        Values that are there already and will be bound before the work's turn.
    nans
        The NaNs that the workers may have been sent besides.

    Raises
    ------
    UnsendableValue
        If one of them can't be pickled; it names it.
    """
    bound = {**namespace, **ready} if ready else namespace
    wanted, known = set(names), nans or Nans()
    values = {n: bound[n] for n in sorted(wanted) if n in bound}
    while True:
        side = Side(namespace, nans=known)
        own = {n: v for n, v in values.items() if n in local}
        _lend(own, namespace)
        encoder = Encoder(side, by_reference=False)
        try:
            with known.of_program():
                packed = encoder.encode({n: v for n, v in values.items() if n not in local})
            if own:  # sent by the loop itself
                Encoder(Side(namespace), by_reference=False).encode(own)
        except Exception as error:
            raise _named(values, namespace, error) from error
        missing = globals_of(encoder.functions) - values.keys()
        found = {n: bound[n] for n in sorted(missing) if n in bound}
        wanted |= missing
        if not found:
            modules, functions = frozenset(encoder.modules), tuple(encoder.functions)
            ids, read = frozenset(side.class_ids), frozenset(wanted)
            plain = encoder.is_plain
            return Captured(values, packed, own, ids, modules, functions, read, known, plain)
        values |= found


def _lend(own: Mapping[str, Any], namespace: dict[str, Any]) -> None:
    """Have threads share what each may have of its own, where there can't be a second one."""
    for value in own.values() if is_lending() else ():
        try:
            Encoder(Side(namespace), by_reference=False).encode(value)
        except Exception:  # whatever a class's own pickling raises
            lend(value)


def classes_to_unpickle(names: Iterable[str], namespace: Mapping[str, Any]) -> set[str]:
    """Names of the notebook's classes, if one of the names is that of a module that unpickles.

    The source doesn't show which of them the work will ask for.
    """
    modules = (v for n in names if isinstance(v := namespace.get(n), types.ModuleType))
    if not any(module.__name__ in _UNPICKLING for module in modules):
        return set()
    return {n for n, v in namespace.items() if isinstance(v, type) and v.__module__ == "__main__"}


def globals_of(functions: Iterable[types.FunctionType]) -> set[str]:
    """Names of globals that functions, and those inside them, read."""
    return {name for f in functions for name in global_names(f.__code__)[0]}


def _named(values: Mapping[str, Any], namespace: dict[str, Any], error: Exception) -> Exception:
    for name, value in values.items():
        try:
            Encoder(Side(namespace), by_reference=False).encode(value)
        except Exception as reason:
            return unsendable(name, value, reason)
    return UnsendableValue(f"captured values can't be sent: {type(error).__name__}: {error}")


def unsendable(name: str, value: Any, reason: Exception) -> UnsendableValue:
    """The error of a value that can't be sent."""
    kind = type(value).__name__
    return UnsendableValue(
        f"`{name}` ({kind}) can't be sent to a worker: {type(reason).__name__}: {reason}"
    )
