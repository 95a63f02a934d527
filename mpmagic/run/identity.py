"""Objects and memory that a result shares with what the worker was sent.

``best = pick(models)`` gives one of the notebook's own models. A copy would be equal, but a change
of it would no longer be seen through `models`. So each mutable object that the worker was sent has
a place, the name and the steps by which it is reached; where a result holds that object, or a view
of that array, the place travels, and there the kernel finds its own.
"""

from __future__ import annotations

import array
import collections
import gc
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, NoReturn

from mpmagic.errors import UnsendableValue
from mpmagic.run.finder import Place, Step, attribute_of, called
from mpmagic.run.framememory import holds_cells, object_cells
from mpmagic.run.keys import is_found_by_identity
from mpmagic.run.reachable import Reachable, is_array
from mpmagic.run.watch import cached_names, is_inert

__all__ = ["Places", "Sharing"]

_ATOMS: Final = frozenset({str, bytes, int, float, bool, type(None)})
_BUFFERS: Final = (bytearray, array.array)
_DICT_VIEWS: Final[tuple[type, ...]] = (type({}.keys()), type({}.values()), type({}.items()))


class _Root(NamedTuple):
    """What an object is reached from that is part of no other."""

    root: str | int


class Places:
    """The mutable objects that can be reached from what was sent.

    Parameters
    ----------
    roots
        The captured values by name, or a chunk's items by number.
    deep
        Whether their parts have places too: not where the work stores into them, since what
        stands there in the worker isn't yet what stands there in the kernel.
    more
        Places to which these are added.

    True if there is more than functions and classes, which travel by reference anyway.
    """

    def __init__(
        self, roots: Mapping[Any, Any], *, deep: bool = True, more: Places | None = None
    ) -> None:
        self._roots, self._deep, self._more = roots, deep, more
        self._near = Reachable((v for v in roots.values() if not is_inert(v)), deep=deep)
        self._is_walked = False
        # Each object's own step, and the object or the root that it is reached from; the object
        # itself, so that nothing else gets its identity.
        self._reached: dict[int, tuple[Any, Step, Any]] = {}
        self._arrays: list[Any] = []
        self._buffers: list[Any] = []

    def __bool__(self) -> bool:
        return self._near.data or bool(self._more)

    def __contains__(self, obj: object) -> bool:
        if id(obj) in self._near.ids:
            self._walk_all()
            if id(obj) in self._reached:
                return True
        return self._more is not None and obj in self._more

    def may_be_in(self, values: list[Any]) -> bool:
        """Whether values may hold something of what is here, at the first look."""
        if not self:
            return False
        held = Reachable(values, deep=True)
        shown = any(array.base is not None for array in held.arrays)
        return self._meets(held.ids, shown=shown)

    def _meets(self, ids: set[int], *, shown: bool) -> bool:
        near = self._near
        if (shown and (near.arrays or near.buffers)) or not near.ids.isdisjoint(ids):
            return True
        return self._more is not None and self._more._meets(ids, shown=shown)

    def memory_shown(self, shown: Any) -> tuple[list[Any], list[Any]]:
        """Arrays here that may share memory with one, and other objects that may."""
        arrays, buffers = self._more.memory_shown(shown) if self._more is not None else ([], [])
        near, share = self._near, sys.modules["numpy"].may_share_memory
        if near.buffers or any(share(shown, base) for base in near.arrays):
            self._walk_all()
            arrays = arrays + [base for base in self._arrays if share(shown, base)]
            buffers = buffers + self._buffers
        return arrays, buffers

    def _walk_all(self) -> None:
        if self._is_walked:
            return
        self._is_walked = True
        # The roots first, and what has no place last, which may be reached by another way as well.
        open_: list[tuple[Any, Any, Step]] = []
        hidden: list[tuple[Any, Any, Step]] = []
        for root, value in self._roots.items():
            self._note(value, _Root(root), ("item", None), open_)
        while open_ or hidden:
            item, parent, step = (open_ or hidden).pop()
            found: list[tuple[Any, Any, Step]] = []
            self._note(item, parent, step, found)
            for part in found:
                (hidden if part[1] is None else open_).append(part)

    def of(self, obj: Any) -> Place:
        """The place of an object that is here."""
        if id(obj) not in self._reached and self._more is not None:
            return self._more.of(obj)
        steps: list[Step] = []
        at: Any = id(obj)
        while isinstance(at, int):
            at, step, _ = self._reached[at]
            steps.append(step)
        if at is None:
            kind = type(obj).__name__
            raise UnsendableValue(f"it holds the notebook's own {kind} from inside a set")
        return Place(at.root, tuple(reversed(steps[:-1])))

    def sent(self, obj: Any) -> tuple[Any, ...] | None:
        """The place of an object as it travels; None for one that isn't here.

        Of one that is part of a set alone, where it has no place, a copy does, if copies are equal.

        Raises
        ------
        UnsendableValue
            If they aren't.
        """
        if obj not in self:
            return None
        try:
            return tuple(self.of(obj))
        except UnsendableValue:
            if is_found_by_identity(obj):
                raise
            return None

    def _note(self, item: Any, parent: Any, step: Step, found: list[Any]) -> None:
        """Note how an object is reached, and find what it holds."""
        if id(item) in self._reached or is_inert(item):
            return
        self._reached[id(item)] = (parent, step, item)
        if is_array(item):
            self._arrays.append(item)
        elif isinstance(item, _BUFFERS) and len(item):
            self._buffers.append(item)
        if self._deep:
            found += _parts(item)


def _parts(item: Any) -> Iterator[tuple[Any, int | None, Step]]:
    """What an object holds: the part, the object that it's reached from, and the step there."""
    kind, own = type(item), id(item)
    if isinstance(item, dict):
        for index, (key, value) in enumerate(item.items()):
            plain = type(key) in _ATOMS and key == key
            if type(value) not in _ATOMS:
                yield value, own if plain else None, ("item", key if plain else None)
            if not plain:
                yield key, own, ("key", index)
    elif isinstance(item, list | tuple | collections.deque):
        for index, value in enumerate(item):
            if type(value) not in _ATOMS:
                yield value, own, ("item", index)
    elif isinstance(item, set | frozenset):
        for value in item:
            yield value, None, ("item", None)
    if kind not in (dict, list, tuple, set, frozenset):
        yield from _inside(item)


def _inside(item: Any) -> Iterator[tuple[Any, int | None, Step]]:
    """What an object holds besides its elements."""
    if is_array(item):
        flat = item.flat if item.dtype == object else ()
        yield from ((value, id(item), ("flat", index)) for index, value in enumerate(flat))
    elif isinstance(item, types.CellType):
        yield from _attributes(item, "cell_contents")
    elif isinstance(item, types.FunctionType):
        yield from _attributes(item, "__defaults__", "__kwdefaults__", "__closure__")
    elif holds_cells(item):
        yield from ((value, id(item), ("cell", at)) for at, value in object_cells(item))
    elif type(item).__module__ == "string.templatelib":  # template strings, their fields
        yield from _attributes(item, "interpolations", "value")
    elif not hasattr(type(item), "__array__"):
        yield from _attributes(item, *_attribute_names(item))


def _attributes(item: Any, *names: str) -> Iterator[tuple[Any, int, Step]]:
    for name in names:
        try:
            yield attribute_of(item, name), id(item), ("attribute", name)
        except (AttributeError, ValueError):
            continue  # an empty slot or cell


def _attribute_names(item: Any) -> Iterator[str]:
    names = list(getattr(item, "__dict__", ()))
    if isinstance(item, type):
        yield from (n for n in names if not n.startswith("__"))
        return
    cached = cached_names(type(item))  # the kernel's object needn't have them yet
    yield from (n for n in names if n not in cached)
    for kind in type(item).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if isinstance(vars(kind).get(slot), types.MemberDescriptorType):
                yield slot


class Sharing:
    """What of a result is shared with what was sent.

    Parameters
    ----------
    places
        Of what was sent.
    """

    def __init__(self, places: Places) -> None:
        self._places = places

    def place_of(self, obj: Any) -> tuple[Any, ...] | None:
        """Where the kernel finds its own; None for what is the result's alone.

        Raises
        ------
        UnsendableValue
            If the kernel has it and can't be told where.
        """
        if obj in self._places:
            return tuple(self._places.of(obj))
        if is_array(obj):
            return self._view(obj)
        if isinstance(obj, _DICT_VIEWS) and gc.get_referents(obj)[0] in self._places:
            self._refuse_view(gc.get_referents(obj)[0])
        return None

    def _refuse_view(self, base: Any) -> NoReturn:
        root = called(self._places.of(base).root)
        raise UnsendableValue(f"it is a view of {root}, of which a worker has a copy")

    def _view(self, shown: Any) -> tuple[Any, ...] | None:
        numpy = sys.modules["numpy"]
        if shown.base is None:
            return None  # its memory is its own
        arrays, buffers = self._places.memory_shown(shown)
        for buffer in buffers:
            if numpy.may_share_memory(shown, numpy.frombuffer(buffer, "u1")):
                self._refuse_view(buffer)
        for base in arrays:
            if type(shown) is not numpy.ndarray or not (
                base.flags.c_contiguous or base.flags.f_contiguous
            ):
                self._refuse_view(base)
            return (
                tuple(self._places.of(base)), _address(shown) - _address(base), shown.shape,
                shown.strides, shown.dtype, shown.flags.writeable,
            )  # fmt: skip
        return None


def _address(shown: Any) -> int:
    address: int = shown.__array_interface__["data"][0]
    return address
