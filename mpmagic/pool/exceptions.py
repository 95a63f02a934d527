"""Exceptions taken apart and made again without a call of anything of their class's.

Pickling an exception calls its class with its `args`, which fails for every class whose `__init__`
takes something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MemberDescriptorType
from typing import Any

__all__ = ["fields_of", "made", "made_group", "with_fields"]

_IS_HEAP_TYPE = 1 << 9


def made(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """An exception of a class with these arguments.

    Only the builtin class that it derives from sees them: that one has fields in C to fill.
    """
    native = _native(kind)
    error: BaseException = native.__new__(kind, *args)
    native.__init__(error, *args)
    error.args = args
    return error


def made_group(
    kind: type[BaseException], message: str, members: Sequence[BaseException]
) -> BaseExceptionGroup[Any]:
    """An exception group of a class, whatever arguments that takes."""
    group: BaseExceptionGroup[Any] = _native(kind).__new__(kind, message, members)
    return group


def _native(kind: type[BaseException]) -> Any:
    return next(base for base in kind.__mro__ if not base.__flags__ & _IS_HEAP_TYPE)


def fields_of(error: BaseException) -> dict[str, Any]:
    """What an exception holds besides `args` and `__dict__`: fields in C, and ``__slots__``."""
    found = {}
    for name, field in _fields(type(error)):
        try:
            found[name] = field.__get__(error)
        except AttributeError:  # a slot that was never filled
            continue
    return found


def with_fields(error: BaseException, fields: dict[str, Any]) -> BaseException:
    """The exception with these fields."""
    filled = fields_of(error)
    for name, field in _fields(type(error)):
        # One that was never filled reads as None: to set it to that shows in the text.
        if name in fields and filled.get(name, fields) is not fields[name]:
            try:
                field.__set__(error, fields[name])
            except (AttributeError, TypeError):  # only `__new__` can fill it, and has
                continue
    return error


def _fields(kind: type[BaseException]) -> Iterator[tuple[str, MemberDescriptorType]]:
    for base in kind.__mro__:
        for name, field in vars(base).items():
            if isinstance(field, MemberDescriptorType) and not name.startswith("__"):
                yield name, field
