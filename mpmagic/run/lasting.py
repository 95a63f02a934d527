"""Digests of values that last: the same in another kernel that has the same values.

Pickles of equal values may differ between processes: in the order of sets, in whether equal text is
one object, the numbers that cloudpickle gives to classes of the notebook, and the file names of
cells. These are left out.
"""

from __future__ import annotations

import struct
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import xxhash
from cloudpickle import cloudpickle as internals

from mpmagic.cell.counters import is_shared_array
from mpmagic.run.codec import Encoder
from mpmagic.run.identity import Places
from mpmagic.run.nans import NAN, Nans
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
    modules
        Names of modules whose functions and classes are in it.
    """

    digest: bytes
    classes: tuple[str, ...]
    modules: frozenset[str] = frozenset()


def lasting(
    value: Any,
    namespace: dict[str, Any],
    *,
    nans: Nans | None = None,
    places: Places | None = None,
) -> Lasting:
    """The digest of a value.

    Parameters
    ----------
    value
        The value.
    namespace
        The notebook's.
    nans
        The NaNs that have places of their own.
    places
        Objects that count by their place, not by what they hold.

    Raises
    ------
    Exception
        If it can't be pickled, or is memory that processes share, whose content nobody keeps.
    """
    encoder = _Encoder(namespace, set(), nans or Nans(), places)
    packed = encoder.encode(value)
    classes = tuple(dict.fromkeys(encoder.classes))
    return Lasting(digest(packed), classes, frozenset(encoder.modules))


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
    def __init__(
        self, namespace: dict[str, Any], open_: set[int], nans: Nans, places: Places | None
    ) -> None:
        super().__init__(Side(namespace, nans=nans), by_reference=False, place_of=self._neutral)
        self.classes: list[str] = []
        self._namespace, self._open = namespace, open_
        self._nans, self._places = nans, places

    def dump_alone(self, value: Any) -> None:
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
        if self._places is not None and (place := self._places.sent(obj)) is not None:
            return place
        return self._without_order(obj) if type(obj) in (set, frozenset) else None

    def _named(self, obj: Any) -> Any:
        if type(obj) is float and obj != obj:
            return NAN, self._nans.place(obj), struct.pack(">d", obj)
        return self._neutral(obj)

    def _number(self, value: Any) -> tuple[Any, ...]:
        make, arguments = value.__reduce_ex__(4)[:2]
        place = () if value == value else (self._nans.place(value),)
        return make, (*arguments, *place)

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
        inner = _Encoder(self._namespace, self._open, self._nans, self._places)
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
