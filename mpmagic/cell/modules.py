"""What functions of the user's own modules keep in their module from one call to the next.

A counter in ``helpers.py`` would count in each worker by itself. Of installed packages it is taken
that what they keep is a cache.
"""

from __future__ import annotations

import sysconfig
import types
from typing import Any, Final

from mpmagic.cell.effects import Effects
from mpmagic.cell.functions import Summaries
from mpmagic.cell.knowledge import Knowledge

__all__ = ["kept_global"]

_INSTALLED: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def kept_global(callee: Any, namespace: Any) -> str:
    """A global of its module that calling a function may bind or change; empty if there is none.

    Parameters
    ----------
    callee
        Anything; only functions of modules of the user's own are looked into.
    namespace
        The notebook's, whose own functions are none of them.
    """
    if not _is_own(callee, namespace):
        return ""
    summary = Summaries(Knowledge(callee.__globals__))(callee)
    effects = summary.effects if summary is not None else Effects()
    return min((*effects.binds, *effects.mutates), default="")


def _is_own(value: Any, namespace: Any) -> bool:
    if not isinstance(value, types.FunctionType) or value.__globals__ is namespace:
        return False
    file = value.__globals__.get("__file__")
    return isinstance(file, str) and not file.startswith(_INSTALLED)
