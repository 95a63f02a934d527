"""What functions of the user's own modules keep in their module from one call to the next.

A counter in ``helpers.py`` would count in each worker by itself. Of installed packages it is taken
that what they keep is a cache.
"""

from __future__ import annotations

import functools
import sysconfig
import types
from typing import Any, Final

from mpmagic.cell.functions import global_names

__all__ = ["kept_global"]

_INSTALLED: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def kept_global(callee: Any, namespace: Any) -> str:
    """A global of its module that calling a function may bind; empty if there is none.

    Parameters
    ----------
    callee
        Anything; only functions of modules of the user's own are looked into.
    namespace
        The notebook's, whose own functions are none of them.
    """
    open_, seen = [callee], set[int]()
    while open_:
        function = open_.pop()
        if not _is_own(function, namespace) or id(function) in seen:
            continue
        seen.add(id(function))
        loaded, stored = _names(function.__code__)
        if stored:
            return min(stored)
        open_ += [function.__globals__.get(name) for name in sorted(loaded)]
    return ""


def _is_own(value: Any, namespace: Any) -> bool:
    if not isinstance(value, types.FunctionType) or value.__globals__ is namespace:
        return False
    file = value.__globals__.get("__file__")
    return isinstance(file, str) and not file.startswith(_INSTALLED)


@functools.lru_cache(maxsize=1024)
def _names(code: types.CodeType) -> tuple[set[str], set[str]]:
    return global_names(code)
