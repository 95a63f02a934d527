"""What the names of a cell stand for, as far as a plan goes by it: whether it's still the same.

A plan asks of functions and classes of the notebook what their code does, of other callables and
of modules which ones they are, and of anything else its type. A value that has changed in another
way is seen when the loop is reached, for then it's planned again with the values themselves.
"""

from __future__ import annotations

import builtins
import types
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mpmagic.cell.attribute import function_behind
from mpmagic.cell.functions import closed_over, global_names

__all__ = ["Standing"]

_BUILTINS: Final = vars(builtins)
_UNBOUND: Final = object()


class Standing:
    """What names stood for at one time; two of them compare equal if a plan wouldn't differ.

    Objects are told apart by their identity, and none of them is kept alive: of those that are
    gone nothing is equal any more, since others may have their place in memory.

    Parameters
    ----------
    names
        The names that a cell uses.
    namespace
        The notebook's.
    members
        What it uses of modules and classes.
    """

    def __init__(
        self, names: Iterable[str], namespace: Mapping[str, Any], members: Iterable[Any] = ()
    ) -> None:
        self._namespace = namespace
        self._waiting = set(names)
        self._references: list[weakref.ref[Any]] = []
        marks: dict[str, tuple[int, ...]] = {"": tuple(map(self._mark, members))}
        while self._waiting:
            name = self._waiting.pop()
            if name not in marks:
                value = namespace.get(name, _BUILTINS.get(name, _UNBOUND))
                marks[name] = tuple(self._marks(value))
        self._marks_of = marks

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Standing):
            return NotImplemented
        return self._marks_of == other._marks_of and self._is_there and other._is_there

    __hash__ = None  # type: ignore[assignment]

    @property
    def _is_there(self) -> bool:
        return all(reference() is not None for reference in self._references)

    def _marks(self, value: Any) -> list[int]:
        kind = type(value)  # not `isinstance`: a mock is what it was told to be
        if kind is types.FunctionType:
            return self._of_function(value)
        if issubclass(kind, type):
            return self._of_class(value)
        if callable(value) or issubclass(kind, types.ModuleType):
            return [self._mark(value), *self._of_class(kind)]
        return self._of_class(kind)

    def _of_function(self, function: types.FunctionType) -> list[int]:
        marks = [self._mark(function), self._mark(function.__code__)]
        if function.__globals__ is self._namespace:
            self._waiting |= global_names(function.__code__)[0]
        for value in closed_over(function).values():
            marks.append(self._mark(value if callable(value) else type(value)))
        return marks

    def _of_class(self, kind: type) -> list[int]:
        marks = [self._mark(base) for base in kind.__mro__]
        for base in kind.__mro__:
            if base.__module__ == "__main__":
                marks += [m for n, v in vars(base).items() for m in self._of_member(n, v)]
        return marks

    def _of_member(self, name: str, member: Any) -> list[int]:
        parts = [member.fget, member.fset] if type(member) is property else [member]
        functions = [f for f in map(function_behind, parts) if type(f) is types.FunctionType]
        if functions:
            return [mark for function in functions for mark in self._of_function(function)]
        # `__annotations__` are there as soon as somebody asks for them.
        return [] if name.startswith("__") else [self._mark(type(member))]

    def _mark(self, value: Any) -> int:
        """The identity of an object; of one that can't be referred to weakly, its type's."""
        try:
            self._references.append(weakref.ref(value))
        except TypeError:
            return id(type(value))
        return id(value)
