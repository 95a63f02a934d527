"""Classes of libraries into which the notebook has put functions of its own.

``pd.DataFrame.clean = clean`` changes a class that workers import themselves: there it's as the
library has made it.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.errors import UnsendableValue
from mpmagic.heaptypes import is_heap_type

__all__ = ["check_unpatched"]

_MOCKS: Final = "unittest.mock"


def check_unpatched(values: Iterable[Any]) -> None:
    """See that the classes of values, or those that are among them, are as they are imported.

    Raises
    ------
    UnsendableValue
        If one of them isn't.
    """
    kinds = {value if isinstance(value, type) else type(value) for value in values}
    bases = {base for kind in kinds for base in kind.__mro__}
    for base in bases:
        if base.__module__ != "__main__" and is_heap_type(base):
            for name, member in list(vars(base).items()):
                if _is_notebooks(member):
                    raise UnsendableValue(
                        f"`{base.__qualname__}.{name}` was set by the notebook, and workers have "
                        f"that class as its library makes it; call a function instead"
                    )


def _is_notebooks(member: Any) -> bool:
    """Whether a member of a class is, or holds, a function or class of the notebook's."""
    if isinstance(member, types.FunctionType | type):
        return member.__module__ == "__main__"
    kind = type(member)
    if kind.__module__ == _MOCKS:
        return True
    if isinstance(member, property):
        parts: list[Any] = [member.fget, member.fset, member.fdel]
    elif isinstance(member, staticmethod | classmethod):
        parts = [member.__func__]
    elif is_heap_type(kind) and kind.__module__ != "__main__":
        parts = list(getattr(member, "__dict__", {}).values())  # what registers an accessor, say
    else:
        return False
    return any(
        isinstance(p, types.FunctionType | type) and p.__module__ == "__main__" for p in parts
    )
