"""The module ``__main__`` of a worker: where pickle looks for the notebook's classes.

In the kernel it is the notebook. `pickle.dumps` of an object of the notebook's looks its class up
there by name, in work as anywhere.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from cloudpickle import cloudpickle as internals

__all__ = ["show_in_main"]

_MAIN = "__main__"


class _MainModule(types.ModuleType):
    """A module whose attributes are the names of a namespace, and the notebook's other classes."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__(_MAIN)
        self._namespace = namespace

    def __getattr__(self, name: str) -> Any:
        if name in self._namespace:
            return self._namespace[name]
        # The class of an item or a result came with it, and has no name here.
        classes = list(internals._DYNAMIC_CLASS_TRACKER_BY_CLASS)
        found = [c for c in classes if c.__module__ == _MAIN and c.__qualname__ == name]
        if len(found) == 1:
            return found[0]
        raise AttributeError(f"module '{_MAIN}' has no attribute {name!r}")


def show_in_main(namespace: dict[str, Any]) -> None:
    """Let `__main__` have the names of the namespace, for code that looks them up there."""
    known = sys.modules.get(_MAIN)
    if not isinstance(known, _MainModule) or known._namespace is not namespace:
        sys.modules[_MAIN] = _MainModule(namespace)
