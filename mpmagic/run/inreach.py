"""The modules that work may look into, as its workers must have them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Set
from typing import Any

from mpmagic.run.capture import Captured
from mpmagic.run.context import CellContext
from mpmagic.run.librarystores import stored_states
from mpmagic.run.modules import ModuleState, names_in, states_of
from mpmagic.run.patched import check_unpatched

__all__ = ["modules_in_reach"]


def modules_in_reach(
    code: types.CodeType,
    captured: Captured,
    cell: CellContext,
    *,
    reached: Set[str] = frozenset(),
    items: Iterable[Any] = (),
) -> tuple[ModuleState, ...]:
    """The states of the user's modules, and of what the notebook has changed in libraries.

    Parameters
    ----------
    code
        The work's.
    captured
        What is sent to it.
    cell
        The cell.
    reached
        Modules of what is sent besides.
    items
        Some of that.

    Raises
    ------
    UnsendableValue
        If a worker couldn't have one of them as the kernel has it.
    """
    codes = (code, *(f.__code__ for f in captured.functions))
    names = {name for one in codes for name in names_in(one)}
    reached = captured.modules | reached
    seen = list(captured.values.values())
    modules = [value for value in seen if isinstance(value, types.ModuleType)]
    of_modules = [vars(m)[name] for m in modules for name in names & vars(m).keys()]
    check_unpatched([*seen, *items, *(v for v in of_modules if isinstance(v, type))])
    states = states_of(captured.values.values(), reached, names, cell.options.local)
    return (*states, *stored_states(cell.namespace, reached, names))
