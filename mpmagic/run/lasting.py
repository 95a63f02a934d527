"""Digests of values that last: the same in another kernel that has the same values.

Pickles of equal values may differ between processes: in the order of sets, in whether equal text is
one object, the numbers that cloudpickle gives to classes of the notebook, and the file names of
cells. These are left out.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import xxhash
from cloudpickle import cloudpickle as internals

from mpmagic.cell.counters import is_shared_array
from mpmagic.run.codec import Encoder
from mpmagic.run.packed import digest
from mpmagic.run.side import Side

__all__ = ["Lasting", "classes_adopted", "lasting"]


class Lasting(NamedTuple):
    """What can be told of a value in any kernel.

    Attributes
    ----------
    digest
        16 bytes.
    classes
        Identifiers, in this kernel, of the notebook's classes in it, in the order in which they
        were met. In a kernel in which the digest is the same the same classes are met.
    """

    digest: bytes
    classes: tuple[str, ...]


def lasting(value: Any, namespace: dict[str, Any]) -> Lasting:
    """The digest of a value.

    Parameters
    ----------
    value
        The value.
    namespace
        The notebook's.

    Raises
    ------
    Exception
        If it can't be pickled, or is memory that processes share, whose content nobody keeps.
    """
    encoder = _Encoder(namespace, set())
    packed = encoder.encode(value)
    return Lasting(digest(packed), tuple(dict.fromkeys(encoder.classes)))


@contextmanager
def classes_adopted(renamed: Mapping[str, str]) -> Iterator[None]:
    """While open, what refers to classes of a former run finds those of this one.

    Parameters
    ----------
    renamed
        Identifiers of then, and of now.
    """
    known = internals._DYNAMIC_CLASS_TRACKER_BY_ID
    hidden = {before: known[before] for before in renamed if before in known}
    for before, now in renamed.items():
        known[before] = known[now]
    try:
        yield
    finally:
        for before, now in renamed.items():
            known.pop(before, None)
            # What came by value has been noted under its former identifier.
            internals._DYNAMIC_CLASS_TRACKER_BY_CLASS[known[now]] = now
        for before, kind in hidden.items():
            known[before] = kind


class _Encoder(Encoder):
    def __init__(self, namespace: dict[str, Any], open_: set[int]) -> None:
        super().__init__(Side(namespace), by_reference=False, place_of=self._neutral)
        self.classes: list[str] = []
        self._namespace, self._open = namespace, open_

    def _dump(self, value: Any) -> None:
        self.dump(value)  # what only processes that exist already may share can't be pickled

    def _forget(self) -> None:
        super()._forget()
        self.classes.clear()

    def _neutral(self, obj: Any) -> Any:
        """What stands for text, of which there may be one object or several, and for sets."""
        if type(obj) is str:
            return xxhash.xxh3_128_intdigest(obj.encode("utf-8", "surrogatepass"))
        if type(obj) is bytes:
            return ~xxhash.xxh3_128_intdigest(obj)
        return self._without_order(obj) if type(obj) in (set, frozenset) else None

    def _without_order(self, obj: Any) -> Any:
        if id(obj) in self._open:
            raise ValueError("a set that holds what leads to the set has no order of its own")
        self._open.add(id(obj))
        try:
            elements = sorted(map(self._element, obj))
        finally:
            self._open.discard(id(obj))
        for element in elements:
            self.classes += element.classes
        return type(obj).__name__, [element.digest for element in elements]

    def _element(self, element: Any) -> Lasting:
        inner = _Encoder(self._namespace, self._open)
        return Lasting(digest(inner.encode(element)), tuple(inner.classes))

    def reducer_override(self, obj: Any) -> Any:
        if is_shared_array(obj):
            raise TypeError("an array that processes share may be changed by any of them")
        if isinstance(obj, types.CodeType):
            return tuple, (_essence(obj),)
        reduced = super().reducer_override(obj)
        if isinstance(obj, type) and isinstance(reduced, tuple) and reduced[0] in _SKELETONS:
            return self._without_identifier(reduced)
        return reduced

    def _without_identifier(self, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        make, arguments, *rest = reduced
        place = _SKELETONS[make]
        self.classes.append(arguments[place])
        return make, (*arguments[:place], "", *arguments[place + 1 :]), *rest


_SKELETONS: Final[dict[Callable[..., Any], int]] = {
    internals._make_skeleton_class: 4,
    internals._make_skeleton_enum: 5,
}
"""What makes classes of the notebook, and which argument is the identifier."""


def _essence(code: types.CodeType) -> tuple[Any, ...]:
    """What code is, wherever its file lies."""
    return (
        code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_freevars,
        code.co_cellvars, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount,
        code.co_flags, code.co_qualname, code.co_firstlineno, code.co_linetable,
        code.co_exceptiontable,
    )  # fmt: skip
