"""Deep equality as the promise means it: types, order and bits included.

`difference` says where two values differ, or nothing. Two namespaces made by running the same
source twice hold different class objects of the same name, so classes of ``__main__`` are equal
by name and content; everything else must be of the very same type.
"""

from __future__ import annotations

import collections
import dis
import enum
import functools
import io
import itertools
import re
import struct
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

MISSING = object()
IGNORED_ATTRIBUTES = {
    "__slotnames__",  # a cache of the pickle module's
    "__dict__",
    "__weakref__",
    "__module__",
    "__firstlineno__",
    # What Python makes of annotations: these themselves are compared.
    "__annotate__",
    "__annotate_func__",
    "__annotations__",
    "__annotations_cache__",
    "__classdictcell__",
}


_TYPE_VARIABLE = ("__name__", "__bound__", "__constraints__", "__covariant__", "__infer_variance__")
_GENERIC = (types.GenericAlias, types.UnionType, type(typing.List[int]), type(typing.Optional[int]))  # noqa: UP006,UP045
_ATOMS = frozenset({int, str, bytes, bool})
"""Types that most parts of a cell's names have, and whose equality says all."""


def difference(expected: Any, got: Any, where: str = "value") -> str | None:
    """The first place where `got` isn't `expected`, in words; None where they are equal."""
    return _Comparison().compare(expected, got, where)


class Drained:
    """What an iterator would still have given: looking at one uses it up."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.kind = type(iterator).__name__
        self.error: BaseException | None = None
        self.items: list[Any] = []
        try:
            self.items.extend(itertools.islice(iterator, 50))
        except Exception as error:  # a part of what is compared
            self.error = error


def is_iterator(value: object) -> bool:
    """Whether looking at `value` would use it up (files and readers aside)."""
    return hasattr(value, "__next__") and not isinstance(value, io.IOBase)


def is_notebook_class(cls: type) -> bool:
    """Whether `cls` was defined in the notebook."""
    return getattr(cls, "__module__", None) == "__main__"


def _content(shared: Any) -> Any:
    if hasattr(shared, "get_obj"):
        value = shared.get_obj()
        return list(value) if hasattr(value, "__len__") else value.value
    if hasattr(shared, "is_set"):
        return shared.is_set()
    return shared.qsize() if hasattr(shared, "qsize") else shared._semlock._is_zero()


class _Comparison:
    """One walk over two graphs; pairs that were seen already end it (graphs have cycles)."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._alive: list[Any] = []

    def compare(self, a: Any, b: Any, where: str) -> str | None:
        kind = type(a)
        if a is b or (kind is type(b) and kind in _ATOMS and a == b):
            return None
        if not _same_type(type(a), type(b)):
            return f"{where}: {_kind(a)} {_short(a)} became {_kind(b)} {_short(b)}"
        pair = (id(a), id(b))
        if pair in self._seen:
            return None
        self._seen.add(pair)
        self._alive.append((a, b))  # an id is only good as long as its object lives
        return self._rule(a)(a, b, where)

    def _rule(self, value: Any) -> Callable[[Any, Any, str], str | None]:
        for kind, rule in self._rules():
            if isinstance(value, kind):
                return rule
        if type(value).__module__.startswith(("multiprocessing.", "mpmagic.mp.")):
            return self._shared
        return _rule_of_library(value) or self._object

    def _rules(self) -> Iterator[tuple[Any, Callable[[Any, Any, str], str | None]]]:
        yield enum.Enum, self._enum
        yield (bool, int, str, bytes, bytearray), self._plain
        yield (float, complex), _bits
        yield (list, tuple, collections.deque), self._sequence
        yield dict, self._mapping
        yield (set, frozenset), self._set
        yield types.FunctionType, self._function
        yield (types.MethodType, types.BuiltinMethodType), self._method
        yield types.MethodWrapperType, self._wrapper
        yield memoryview, self._memory
        yield functools.partial, self._partial
        yield types.CodeType, self._code
        yield types.CellType, self._cell
        yield property, lambda a, b, w: self._named(("fget", "fset", "fdel"), a, b, w)
        yield _GENERIC, self._generic
        yield typing.ForwardRef, lambda a, b, w: self._named(("__forward_arg__",), a, b, w)
        yield typing.TypeVar, lambda a, b, w: self._named(_TYPE_VARIABLE, a, b, w)
        yield type, self._class
        yield BaseException, self._exception
        yield (range, slice, re.Pattern, types.ModuleType), self._plain
        yield Drained, self._object
        yield io.StringIO, self._text
        yield io.IOBase, self._file
        yield re.Match, lambda a, b, w: self.compare(a.groups(), b.groups(), f"{w}.groups()")

    def _plain(self, a: Any, b: Any, where: str) -> str | None:
        equal = a is b if isinstance(a, types.ModuleType) else bool(a == b)
        if not equal:
            return f"{where}: {_short(a)} became {_short(b)}"
        return self._attributes(a, b, where)

    def _wrapper(self, a: Any, b: Any, where: str) -> str | None:
        """A special method of an object, as ``it.__next__``."""
        owners = [Drained(m.__self__) if is_iterator(m.__self__) else m.__self__ for m in (a, b)]
        return self._named(("__name__",), a, b, where) or self.compare(*owners, f"{where}.__self__")

    def _memory(self, a: Any, b: Any, where: str) -> str | None:
        names = ("obj", "format", "shape", "strides", "readonly")
        return self._named(names, a, b, where) or self.compare(a.tolist(), b.tolist(), where)

    def _shared(self, a: Any, b: Any, where: str) -> str | None:
        """What several processes share counts for what is in it, wherever that lies."""
        return self.compare(_content(a), _content(b), where)

    def _enum(self, a: Any, b: Any, where: str) -> str | None:
        same = a is b or (is_notebook_class(type(a)) and a.name == b.name)
        return None if same else f"{where}: {a!r} became {b!r}"

    def _sequence(self, a: Any, b: Any, where: str) -> str | None:
        for i, (left, right) in enumerate(zip(a, b, strict=False)):
            if found := self.compare(left, right, f"{where}[{i}]"):
                return found
        if len(a) != len(b):
            return f"{where}: {len(a)} items became {len(b)}: {_short(a)} became {_short(b)}"
        return self._attributes(a, b, where)

    def _mapping(self, a: Any, b: Any, where: str) -> str | None:
        for i, (left, right) in enumerate(zip(a, b, strict=False)):
            if found := self.compare(left, right, f"key {i} of {where}"):
                return found
            if found := self.compare(a[left], b[right], f"{where}[{left!r}]"):
                return found
        if len(a) != len(b):
            return f"{where}: {len(a)} items became {len(b)}: {_short(a)} became {_short(b)}"
        if isinstance(a, collections.defaultdict):
            return self.compare(a.default_factory, b.default_factory, f"{where}.default_factory")
        return self._attributes(a, b, where)

    def _set(self, a: Any, b: Any, where: str) -> str | None:
        """Order is excepted from the promise; members are matched by their text."""
        return self._sequence(sorted(a, key=_member), sorted(b, key=_member), f"sorted {where}")

    def _function(self, a: Any, b: Any, where: str) -> str | None:
        if (a.__globals__ is not b.__globals__) and a.__globals__.get("__name__") == "__main__":
            return f"{where}: {b.__name__} reads other globals than the notebook's"
        names = ("__name__", "__qualname__", "__defaults__", "__kwdefaults__", "__doc__")
        found = self._named((*names, "__dict__", "__closure__", "__code__"), a, b, where)
        return found or self.compare(_annotations(a), _annotations(b), f"{where}.__annotations__")

    def _code(self, a: Any, b: Any, where: str) -> str | None:
        names = ("co_name", "co_names", "co_varnames", "co_freevars", "co_exceptiontable")
        found = self._named(names, a, b, where)
        return found or self.compare(_instructions(a), _instructions(b), f"{where}.co_code")

    def _generic(self, a: Any, b: Any, where: str) -> str | None:
        return self._named(("__origin__", "__args__"), a, b, where)

    def _cell(self, a: Any, b: Any, where: str) -> str | None:
        return self._named(("cell_contents",), a, b, where)

    def _method(self, a: Any, b: Any, where: str) -> str | None:
        return self._named(("__name__", "__self__"), a, b, where)

    def _partial(self, a: Any, b: Any, where: str) -> str | None:
        return self._named(("func", "args", "keywords"), a, b, where)

    def _class(self, a: Any, b: Any, where: str) -> str | None:
        if not is_notebook_class(a) or a.__qualname__ != b.__qualname__:
            return f"{where}: {a!r} became {b!r}"
        return self.compare(_class_content(a), _class_content(b), f"{where}.__dict__")

    def _exception(self, a: Any, b: Any, where: str) -> str | None:
        return self._named(("args", "__cause__"), a, b, where) or self._attributes(a, b, where)

    def _text(self, a: Any, b: Any, where: str) -> str | None:
        if a.closed or b.closed:
            return None if a.closed == b.closed else f"{where}: only one of the two is closed"
        # What an object without a text of its own prints says where it lies.
        left, right = ((re.sub(r" at 0x\w+", "", t.getvalue()), t.tell()) for t in (a, b))
        return self._plain(left, right, where)

    def _file(self, a: Any, b: Any, where: str) -> str | None:
        return self._plain(_file_state(a), _file_state(b), where)

    def _object(self, a: Any, b: Any, where: str) -> str | None:
        if type(a).__eq__ is not object.__eq__ and not is_notebook_class(type(a)):
            return self._plain_text(a, b, where)
        if hasattr(a, "__dict__") or _slots(a):
            return self._attributes(a, b, where)
        try:
            left, right = a.__reduce_ex__(2), b.__reduce_ex__(2)
        except TypeError:
            return None  # of the same type, and nothing else can be seen of it
        return self.compare(left, right, f"reduced {where}")

    def _plain_text(self, a: Any, b: Any, where: str) -> str | None:
        """For libraries' values (paths, decimals, dates): their state holds caches."""
        return None if a == b and repr(a) == repr(b) else f"{where}: {a!r} became {b!r}"

    def _attributes(self, a: Any, b: Any, where: str) -> str | None:
        left, right = _state(a), _state(b)
        if list(left) != list(right):
            return f"{where}: attributes {list(left)} became {list(right)}"
        for name, value in left.items():
            if found := self.compare(value, right[name], f"{where}.{name}"):
                return found
        return None

    def _named(self, names: tuple[str, ...], a: Any, b: Any, where: str) -> str | None:
        for name in names:
            left, right = getattr(a, name, MISSING), getattr(b, name, MISSING)
            if found := self.compare(left, right, f"{where}.{name}"):
                return found
        return None


def _same_type(a: type, b: type) -> bool:
    if a is b:
        return True
    alike = (a.__module__, a.__qualname__) == (b.__module__, b.__qualname__)
    made_on_the_fly = hasattr(a, "_fields") and getattr(a, "_fields", ()) == getattr(
        b, "_fields", 0
    )
    return alike and (is_notebook_class(a) or made_on_the_fly)


def _bits(a: complex, b: complex, where: str) -> str | None:
    def packed(value: complex) -> bytes:
        parts = (value.real, value.imag) if isinstance(value, complex) else (value,)
        return struct.pack(f"{len(parts)}d", *parts)

    return None if packed(a) == packed(b) else f"{where}: {a!r} became {b!r}"


def _rule_of_library(value: Any) -> Callable[[Any, Any, str], str | None] | None:
    """The rule for numpy's and pandas' values, without importing either."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy":
        from tests.frames import array_rule

        return array_rule(value)
    if package == "pandas":
        from tests.frames import frame_rule

        return frame_rule(value)
    return None


def _slots(value: Any) -> list[str]:
    found = []
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        found += [slots] if isinstance(slots, str) else list(slots)
    return found


def _state(value: Any) -> dict[str, Any]:
    state = dict(getattr(value, "__dict__", {}))
    state.pop("__notes__", None)  # where an error happened is noted on it: more, not other
    for name in _slots(value):
        if hasattr(value, name) and name != "__dict__" and name != "__weakref__":
            state[name] = getattr(value, name)
    return {name: v for name, v in state.items() if not _is_cache(type(value), name)}


def _is_cache(cls: type, name: str) -> bool:
    """Whether an attribute is a `functools.cached_property`: filled or not, nobody can see it."""
    return isinstance(getattr(cls, name, None), functools.cached_property)


def _class_content(cls: type) -> dict[str, Any]:
    content = {k: v for k, v in vars(cls).items() if k not in IGNORED_ATTRIBUTES}
    content |= {"__bases__": cls.__bases__, "__annotations__": _annotations(cls)}
    return {k: content[k] for k in sorted(content) if not k.startswith("_abc_")}


def _annotations(value: Any) -> dict[str, str]:
    """The annotations of a function or class, in words: they may name what isn't defined."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(value, format=annotationlib.Format.STRING)
    own = vars(value).get("__annotations__", {}) if isinstance(value, type) else {}
    return {name: repr(a) for name, a in (own or value.__annotations__).items()}


def _instructions(code: types.CodeType) -> list[tuple[str, Any]]:
    """What code does, but for the line on which a class begins: it moves with the magic's line."""
    found = list(dis.get_instructions(code))
    is_line = [i.opname == "STORE_NAME" and i.argval == "__firstlineno__" for i in found[1:]]
    values = [None if line else i.argval for i, line in zip(found, [*is_line, False], strict=True)]
    return [(i.opname, value) for i, value in zip(found, values, strict=True)]


def _file_state(file: Any) -> tuple[object, ...]:
    if file.closed:
        return (getattr(file, "name", None), True)
    return (getattr(file, "name", None), False, file.tell())


def _member(value: object) -> tuple[str, str]:
    return type(value).__qualname__, repr(value)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:100]} ... {text[-50:]}"
