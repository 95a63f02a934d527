"""Whether what the commits change is also what the work was sent.

The source shows names; two names may lead to one object. Then the commits would change, in the
kernel, what the work keeps reading as it was sent.
"""

from __future__ import annotations

import collections
import functools
import gc
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mpmagic.heaptypes import is_heap_type
from mpmagic.run.framememory import arrays_of, column_arrays, copies_on_write
from mpmagic.run.reachable import Reachable, frame_values, is_array, is_of_kernel
from mpmagic.run.watch import ATOMS, BOUND, is_inert

__all__ = ["Aliases", "Reach", "is_new"]

_BUDGET: Final = 50_000
"""Objects that are looked at: some 20 ms. What lies beyond is checked when the loop is over."""

_KEPT_BY_PYTHON: Final = frozenset({"_abc_impl", "_field_defaults", "_fields"})

_HOLDING_MODULES: Final = frozenset({"builtins", "itertools", "collections", "string.templatelib"})
_CONTAINERS: Final = (list, tuple, set, frozenset, collections.deque)

_PLAIN: Final = frozenset(
    {list, dict, set, collections.deque, collections.defaultdict, collections.Counter,
     collections.OrderedDict}
)  # fmt: skip
_REFERENCES_OF_ONE: Final = 2
"""The namespace's, and that of the call that asks."""


class Aliases:
    """The mutable objects that the work was sent, and those that the commits change.

    Parameters
    ----------
    sent
        Captured values by name.
    iterable
        What the loop iterates over.

    Attributes
    ----------
    complete
        Whether what was sent could be told from what the commits change: if not, it has to be
        looked at once more when the loop is over.
    """

    def __init__(self, sent: Mapping[str, Any], iterable: Any) -> None:
        self.complete = True
        self._sent = (*sent.items(), ("the loop's items", iterable))
        self._near: Reachable | None = None
        self._owners: dict[int, str] = {}
        self._arrays: list[tuple[str, Any]] = []
        self._of_frames: list[tuple[str, Any]] = []

    def _is_apart(self, value: Any, *, deep: bool) -> bool:
        """Whether the first look shows that nothing of `value` was sent."""
        if self._near is None:
            self._near = Reachable((v for _, v in self._sent), deep=True)
        # What it holds in any case: commits may change that in ways that the source doesn't show.
        own = Reachable([value], deep=deep or self._near.data)
        memory = bool(own.arrays or own.buffers) and bool(self._near.arrays or self._near.buffers)
        frame = bool(self._near.arrays) and not deep and bool(arrays_of(value))
        # Instances lead to their class, which is another matter than to be of the same.
        is_class = id(value) in self._near.classes
        return not (memory or frame or is_class) and own.ids.isdisjoint(self._near.ids)

    def _look(self) -> None:
        """Walk through what was sent, to know what is whose."""
        sent, self._sent = self._sent, ()
        for name, value in sent:
            for inner, shown in self._walk(value):
                self._owners.setdefault(id(inner), name)
                self._owners.setdefault(id(type(inner)), name)
                if is_array(inner) and not shown:
                    self._arrays.append((name, inner))
                self._of_frames += [(name, array) for array in arrays_of(inner)]

    def shared_with(self, value: Any, *, deep: bool, columns: Iterable[str] | None = None) -> str:
        """The name under which the work was sent (a part of) `value`; empty for none.

        Parameters
        ----------
        value
            The object that commits change.
        deep
            Whether they also change what it holds.
        columns
            Of a frame, the columns whose cells they change, if no others.
        """
        if self._is_apart(value, deep=deep):
            return ""
        self._look()
        for inner, shown in self._walk(value) if deep else [(value, False)]:
            if is_inert(inner):
                continue
            if id(inner) in self._owners:
                return self._owners[id(inner)]
            if shown:
                continue
            if is_array(inner):
                name = self._shares_memory([inner], of_frame=False)
            elif inner is value and columns is not None:
                name = self._shares_memory(column_arrays(inner, columns), of_frame=True)
            else:
                name = self._shares_memory(arrays_of(inner), of_frame=True)
            if name:
                return name
        self.complete = False  # there was something to find, in what isn't walked through
        return ""

    def _shares_memory(self, own: list[Any], *, of_frame: bool) -> str:
        if not own:
            return ""
        others = self._arrays
        if not of_frame or not copies_on_write():
            others = others + self._of_frames
        may_share: Any = sys.modules["numpy"].may_share_memory
        return next((n for n, other in others for a in own if may_share(a, other)), "")

    def _walk(self, value: Any) -> Iterator[tuple[Any, bool]]:
        for number, inner in enumerate(_reachable(value)):
            if number >= _BUDGET:
                self.complete = False
                return
            yield inner


def is_new(name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether a value is an empty container to which nothing but its name leads.

    It's no part of anything else then, nor holds such a part: its reference count tells, and
    nothing need be walked through.
    """
    if sys.getrefcount(namespace[name]) > _REFERENCES_OF_ONE:
        return False
    value = namespace[name]
    if type(value) not in _PLAIN or value or getattr(value, "__dict__", None):
        return False
    factory = getattr(value, "default_factory", None)
    return factory is None or (isinstance(factory, type) and not is_heap_type(factory))


class Reach:
    """The mutable objects that some values lead to, each value to its own.

    Attributes
    ----------
    complete
        Whether all of them could be looked at.
    """

    def __init__(self) -> None:
        self.complete = True
        self._met: set[int] = set()

    def add(self, value: Any) -> bool:
        """Whether the value leads to nothing that an earlier one leads to."""
        own: set[int] = set()
        for inner, _ in _reachable(value):
            if len(own) + len(self._met) >= _BUDGET:
                self.complete = False
                return True
            while is_array(inner) and inner.base is not None:
                inner = inner.base  # the owner of the memory
            own.add(id(inner))
        if own & self._met:
            return False
        self._met |= own
        return True


def _reachable(value: Any) -> Iterator[tuple[Any, bool]]:
    """The mutable objects that can be reached from a value.

    Each with whether an array shows a part of it: of its memory that array's alone is reached.
    """
    seen: set[tuple[int, bool]] = set()
    open_: list[tuple[Any, bool]] = [(value, False)]
    while open_:
        item, shown = open_.pop()
        if is_inert(item) or (id(item), shown) in seen:
            continue
        seen.add((id(item), shown))
        if not isinstance(item, tuple | frozenset):
            yield item, shown
        if is_array(item) and item.base is not None:
            open_.append((item.base, True))
        if not shown or not is_array(item):
            # A list of a million numbers holds nothing to look at.
            open_ += [(part, False) for part in _parts(item) if type(part) not in ATOMS]


def _parts(item: Any) -> Iterable[Any]:
    """What an object holds."""
    if isinstance(item, dict):
        return [*item.keys(), *item.values(), *_attributes(item)]
    if isinstance(item, _CONTAINERS):
        return [*item, *_attributes(item)]
    if isinstance(item, types.FunctionType):
        cells = item.__closure__ or ()  # what they hold may be bound anew (`nonlocal`)
        given = [*(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
        return [*cells, *given, *vars(item).values()]
    if isinstance(item, types.CellType):
        return [item.cell_contents] if _filled(item) else []
    if isinstance(item, BOUND):
        return [item.__self__]
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, types.GeneratorType):
        frame = item.gi_frame
        return [] if frame is None else list(frame.f_locals.values())
    if isinstance(item, types.ModuleType) or is_of_kernel(type(item)):
        return []
    if isinstance(item, type):
        return _class_attributes(item)
    if isinstance(item, memoryview):
        return _shown_by(item)
    if isinstance(item, types.FrameType):
        return frame_values(item)
    if is_array(item):
        return item.ravel().tolist() if item.dtype.hasobject else []
    if type(item).__module__ in _HOLDING_MODULES:
        return gc.get_referents(item)  # iterators, views, template strings
    return _attributes(item)


def _shown_by(view: memoryview) -> list[Any]:
    try:
        return [view.obj]
    except ValueError:  # it was released
        return []


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _attributes(item: Any) -> list[Any]:
    values = [*getattr(item, "__dict__", {}).values(), *_class_attributes(type(item))]
    for kind in type(item).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            member = vars(kind).get(slot)
            if isinstance(member, types.MemberDescriptorType) and hasattr(item, slot):
                values.append(getattr(item, slot))
    return values


def _class_attributes(kind: type) -> list[Any]:
    """What the notebook's classes hold, methods and what Python itself keeps there apart."""
    return [
        value
        for base in kind.__mro__
        if base.__module__ == "__main__"
        for name, value in vars(base).items()
        if not (name.startswith("_") and (name.endswith("_") or name in _KEPT_BY_PYTHON))
        and not hasattr(type(value), "__get__")
    ]
