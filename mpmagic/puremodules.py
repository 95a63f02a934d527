"""Modules of the standard library whose functions change none of their arguments."""

from __future__ import annotations

import types
from typing import Any, Final

__all__ = ["PURE_MODULES", "is_of_pure_module"]

PURE_MODULES: Final = frozenset({"math", "cmath", "statistics", "json", "re", "string", "time"})

_FUNCTIONS: Final = types.FunctionType | types.BuiltinFunctionType


def is_of_pure_module(value: Any) -> bool:
    """Whether it's such a module, or a function of one."""
    if isinstance(value, types.ModuleType):
        return value.__name__ in PURE_MODULES
    return isinstance(value, _FUNCTIONS) and value.__module__ in PURE_MODULES
