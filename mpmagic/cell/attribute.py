"""Attributes of the notebook's objects, as far as they can be had without running its code."""

from __future__ import annotations

import types
from typing import Any

__all__ = ["attribute", "function_behind"]


def attribute(value: Any, name: str, default: Any = None) -> Any:
    """What a value has under a name; the default where code of its class would make it up.

    Parameters
    ----------
    value
        Anything that a name of the notebook's may stand for.
    name
        Of an attribute that Python itself sets, such as ``__name__``.
    default
        What is given if there is none.
    """
    kind = type(value)
    if isinstance(kind.__getattribute__, types.FunctionType):
        return default
    if hasattr(kind, "__getattr__") and not any(name in vars(base) for base in kind.__mro__):
        return default
    return getattr(value, name, default)


def function_behind(member: Any) -> Any:
    """The function in a method; anything else as it is."""
    methods = (staticmethod, classmethod, types.MethodType)
    return member.__func__ if isinstance(member, methods) else member
