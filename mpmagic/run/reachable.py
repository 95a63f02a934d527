"""What can be reached from values, found at the speed of the garbage collector.

To know the way to each object of a dictionary of a million lists takes a second; whether a result
holds any of them at all takes a twentieth of that, and mostly it doesn't.
"""

from __future__ import annotations

import array
import gc
import inspect
import itertools
import sys
import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.run.watch import ATOMS

__all__ = ["Reachable", "frame_values", "is_array", "is_of_kernel"]

_SKIPPED: Final = ATOMS | {
    types.ModuleType, types.CodeType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.WrapperDescriptorType, types.MethodDescriptorType,
}  # fmt: skip
_CODE: Final = (types.FunctionType, types.CellType, tuple, property, staticmethod, classmethod)
_LOOKED_INTO: Final = (type, types.FunctionType, types.FrameType)
_BUFFERS: Final = (bytearray, array.array)


class Reachable:
    """Objects that can be reached from some; perhaps more than hold data of the user's.

    Parameters
    ----------
    roots
        Where to begin.
    deep
        Whether parts count too.

    Attributes
    ----------
    ids
        The identities, of the objects that were alive then; classes apart.
    classes
        The identities of classes.
    arrays
        numpy's arrays among them.
    data
        Whether there is more than functions, which travel by reference anyway.
    buffers
        Whether there are objects, besides arrays, whose memory an array may show.
    """

    def __init__(self, roots: Iterable[Any], *, deep: bool) -> None:
        self.ids: set[int] = set()
        self.arrays: list[Any] = []
        self.data = self.buffers = False
        self.classes: set[int] = set()
        level = self._new(roots)
        while level:
            self._note(level)
            level = self._new(self._referents(level)) if deep else []
        self.ids.discard(id(()))  # there is but one

    def _new(self, objects: Iterable[Any]) -> list[Any]:
        """Those of the objects that haven't been met."""
        ids, met = self.ids, list(objects)
        wanted = set(map(type, met)) - _SKIPPED
        if not wanted:
            return []
        # There may be a million, which C looks through three times as fast as a comprehension.
        chosen = list(itertools.compress(met, map(wanted.__contains__, map(type, met))))
        found = dict(zip(map(id, chosen), chosen, strict=True))
        for key in found.keys() & ids:
            del found[key]
        classes = set[int]()
        if any(issubclass(kind, type) for kind in wanted):
            classes = {key for key, o in found.items() if isinstance(o, type)}
        ids.update(found.keys() - classes if classes else found)
        for key in classes & self.classes:
            del found[key]
        self.classes |= classes
        return list(found.values())

    def _note(self, objects: list[Any]) -> None:
        kinds = {kind for kind in set(map(type, objects)) if not issubclass(kind, type)}
        self.data = self.data or not all(issubclass(kind, _CODE) for kind in kinds)
        self.buffers = self.buffers or any(issubclass(kind, _BUFFERS) for kind in kinds)
        if any(map(_is_array_type, kinds)):
            self.arrays += [o for o in objects if is_array(o)]

    def _referents(self, objects: list[Any]) -> list[Any]:
        """What objects hold; of functions and classes not the modules that they are from."""
        kinds = set(map(type, objects))
        if any(map(is_of_kernel, kinds)):
            objects = [value for value in objects if not is_of_kernel(type(value))]
        if not any(issubclass(k, _LOOKED_INTO) or _is_array_type(k) for k in kinds):
            return gc.get_referents(*objects)
        plain: list[Any] = []
        found: list[Any] = []
        for value in objects:
            if isinstance(value, types.FunctionType):
                found += [value.__closure__, value.__defaults__, value.__kwdefaults__]
                found += [vars(value)] if vars(value) else []
            elif isinstance(value, type):
                found += _class_attributes(value)
            elif isinstance(value, types.FrameType):
                found += frame_values(value)
            elif is_array(value):  # the collector sees nothing inside
                found.append(value.base)
                found += value.ravel().tolist() if value.dtype.hasobject else ()
                found += vars(value).values() if hasattr(value, "__dict__") else ()
            else:
                plain.append(value)
        return found + gc.get_referents(*plain)


def _class_attributes(kind: type) -> list[Any]:
    """What the notebook's classes hold, methods apart, and the classes that they are made of."""
    if kind.__module__ != "__main__":
        return []
    own = [value for value in vars(kind).values() if not hasattr(type(value), "__get__")]
    return [*own, *kind.__bases__]


def frame_values(frame: types.FrameType) -> list[Any]:
    """What the variables of a frame hold, such as an exception's traceback leads to.

    Not its globals: with these it would lead to all of the kernel.
    """
    own = frame.f_code.co_flags & inspect.CO_NEWLOCALS
    return list(frame.f_locals.values()) if own else []


def is_of_kernel(kind: type) -> bool:
    """Whether objects of a type are the kernel's machinery, and hold nothing of the loop's.

    A stream of the kernel's, which a bar around the items writes to, leads to the kernel, and that
    to every object of the notebook.
    """
    return str(kind.__module__).partition(".")[0] == "ipykernel"


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy's, without importing that."""
    return _is_array_type(type(value))


def _is_array_type(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.ndarray)
