"""Values on their way between the notebook and a worker.

Plain cloudpickle with three rules of the notebook's:

- a function of the notebook travels without its globals: on the other side it lives in that
  side's one namespace, so that functions share globals there as they do here;
- what the other side has already goes by reference: classes and functions of the notebook, and
  captured objects, come back as the kernel's own;
- large buffers travel out of band (pickle protocol 5), so that nobody copies them.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import cloudpickle
from cloudpickle import cloudpickle as internals

from mpmagic.pool import in_worker
from mpmagic.pool.attaching import DISPATCH_TABLE, attachable
from mpmagic.run.annotated import (
    REFERENCE,
    add_annotations,
    fill_reference,
    function_state,
    reference_state,
)
from mpmagic.run.frameattributes import reduce_frame
from mpmagic.run.layout import reduce_strided
from mpmagic.run.lent import fetch_lent, token_of
from mpmagic.run.named import reduce_named
from mpmagic.run.nans import NAN, Nans, are_in, is_number
from mpmagic.run.raised import fill_raised, reduce_raised

__all__ = ["Encoder", "Packed", "Side", "decode", "digest"]

_IN_BAND_BELOW: Final = 4096
"""Bytes under which a buffer isn't worth a place of its own."""


class Packed:
    """A pickle with its out-of-band buffers.

    Parameters
    ----------
    data
        The pickle.
    buffers
        What it refers to, in order.
    refers
        Whether it refers to what the other side has.

    Attributes
    ----------
    finished
        Of the log of a chunk: whether its work has come to its end.
    """

    __slots__ = ("buffers", "data", "finished", "refers")

    def __init__(self, data: bytes, buffers: tuple[Any, ...] = (), *, refers: bool = False) -> None:
        self.data = data
        self.buffers = buffers
        self.refers = refers
        self.finished = False

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        raws = [pickle.PickleBuffer(b).raw() for b in self.buffers]
        writable = tuple(not raw.readonly for raw in raws)
        wrap = pickle.PickleBuffer if protocol >= 5 else bytes
        buffers = tuple(wrap(b) for b in self.buffers)
        return _packed, (self.data, buffers, writable, self.refers, self.finished)

    def apart(self) -> Packed:
        """The same in memory of its own: what is made of it shares none with what it's made of."""
        made = Packed(self.data, tuple(map(_copied, self.buffers)), refers=self.refers)
        made.finished = self.finished
        return made

    @property
    def nbytes(self) -> int:
        """Size in bytes, buffers included."""
        return len(self.data) + sum(memoryview(b).nbytes for b in self.buffers)


def _packed(
    data: bytes, buffers: tuple[Any, ...], writable: tuple[bool, ...], *state: bool
) -> Packed:
    """What came; of some transports memory comes read-only, whatever it was."""
    pairs = zip(buffers, writable, strict=True)
    own = tuple(bytearray(b) if w and memoryview(b).readonly else b for b, w in pairs)
    refers, finished = state
    made = Packed(data, own, refers=refers)
    made.finished = finished
    return made


def _copied(buffer: Any) -> bytes | bytearray:
    raw = pickle.PickleBuffer(buffer).raw()
    return bytes(raw) if raw.readonly else bytearray(raw)


@dataclass(slots=True)
class Side:
    """One end of the way: the kernel's, or one program's in a worker.

    Attributes
    ----------
    namespace
        The globals of the notebook's functions on this side.
    captured
        Captured values by name, as this side has them.
    class_ids
        Classes of the notebook that both sides know, by cloudpickle's identifiers.
    nans
        The NaNs that both sides know.
    """

    namespace: dict[str, Any]
    captured: Mapping[str, Any] = field(default_factory=dict)
    class_ids: set[str] = field(default_factory=set)
    nans: Nans = field(default_factory=Nans)

    def references(self) -> dict[int, str]:
        """Names of captured objects by identity, those apart that have none."""
        return {id(v): n for n, v in self.captured.items() if not isinstance(v, _NO_IDENTITY)}


_NO_IDENTITY: Final = (int, float, complex, str, bytes, type(None), types.ModuleType)


class _Current(threading.local):
    side: Side | None = None


_current = _Current()


class Encoder(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles for the other side.

    Parameters
    ----------
    side
        This side.
    by_reference
        Whether captured objects and shared classes go as references. Not when they are captured.
    place_of
        Gives, for an object wherever it is met, the place at which the other side has its own, to
        travel instead; None for all others. The reducer is asked nothing about lists,
        dictionaries and sets. `decode` asks its `find` for what stands there.

    Attributes
    ----------
    functions
        Functions of the notebook that were met, whose globals the other side will need.
    modules
        Names of modules whose functions and classes were met.
    """

    dispatch_table = DISPATCH_TABLE
    keeps_traces = True
    """Whether exceptions keep what they get by being raised."""

    def __init__(
        self, side: Side, *, by_reference: bool, place_of: Callable[[Any], Any] | None = None
    ) -> None:
        self._file = io.BytesIO()
        self._buffers: list[pickle.PickleBuffer] = []
        super().__init__(self._file, protocol=5, buffer_callback=self._keep_out_of_band)
        self._side = side
        self._by_reference = by_reference
        self._references = side.references() if by_reference else {}
        self.functions: list[types.FunctionType] = []
        self.modules: set[str] = set()
        self._place_of = place_of
        self._own_nans: dict[int, tuple[int, float]] = {}
        if place_of is not None:
            self.persistent_id = place_of

    def encode(self, value: Any) -> Packed:
        """Pickle one value; an encoder is used once.

        Raises
        ------
        Exception
            Whatever the value's own code raises, `pickle.PicklingError` and `TypeError` mostly.
        """
        self._dump(value)
        refers = self._place_of is not None
        if are_in(self._file.getvalue()):  # once more, and slower: it's asked about each object
            self._forget()
            self.persistent_id = self._named
            self._dump(value)
            refers = True
        return Packed(self._file.getvalue(), tuple(self._buffers), refers=refers)

    def _dump(self, value: Any) -> None:
        if in_worker():
            self.dump(value)
        else:
            with attachable(pipes=False):
                self.dump(value)

    def _forget(self) -> None:
        self.clear_memo()
        self._file.seek(0)
        self._file.truncate()
        for gathered in (self._buffers, self.functions, self.modules):
            gathered.clear()

    def _named(self, obj: Any) -> tuple[Any, ...] | None:
        if type(obj) is float and obj != obj:
            return self._side.nans.token(obj, self._own_nans)
        return None if self._place_of is None else self._place_of(obj)

    def _keep_out_of_band(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            small = buffer.raw().nbytes < _IN_BAND_BELOW
        except BufferError:  # not contiguous
            return True
        if not small:
            self._buffers.append(buffer)
        return small

    def reducer_override(self, obj: Any) -> Any:
        """The rules of this module; cloudpickle's for everything else."""
        if is_number(obj):  # there may be many, and the other questions take longer than the rest
            return self._number(obj)
        if (token := token_of(obj)) is not None:
            return fetch_lent, (token,)
        name = self._references.get(id(obj))
        if name is not None:
            return _fetch_captured, (name,)
        if isinstance(obj, types.FunctionType) and obj.__globals__ is self._side.namespace:
            self.functions.append(obj)
            return _reduce_function(obj)
        if isinstance(obj, types.FunctionType | type):
            self.modules.add(str(obj.__module__))
        elif isinstance(obj, types.ModuleType):
            self.modules.add(obj.__name__)
        if isinstance(obj, types.ModuleType) and type(obj) is not types.ModuleType:
            if sys.modules.get(obj.__name__) is obj:  # cloudpickle looks at the exact type
                return importlib.import_module, (obj.__name__,)
        if type(obj) is functools.cached_property:  # before Python 3.12 it holds a lock
            return _cached_property, (obj.func, obj.attrname, obj.__doc__)
        if isinstance(obj, functools._lru_cache_wrapper):
            inner = obj.__wrapped__
            if getattr(inner, "__globals__", None) is self._side.namespace:
                return _cached, (inner, dict(obj.cache_parameters()))
        if isinstance(obj, io.TextIOWrapper) and obj not in (sys.stdout, sys.stderr):
            # cloudpickle would read it, and make a file in memory of what it holds.
            raise TypeError("cannot pickle an open file")
        if type(obj) in (io.StringIO, io.BytesIO) and obj.closed:
            return _closed, (type(obj), vars(obj))  # it can't be asked for what it holds
        if isinstance(obj, memoryview):
            # cloudpickle would make bytes of it: another type, and no view of anything.
            raise TypeError("cannot pickle 'memoryview' object")
        if isinstance(obj, type):
            identifier = internals._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(obj)
            if self._by_reference and identifier in self._side.class_ids:
                return _fetch_class, (identifier,)
            reduced = _whole(obj, super().reducer_override(obj))
            if not self._by_reference:
                self._note_class(obj)
            return reduced
        if isinstance(obj, types.FunctionType):
            if obj.__module__ is None:
                # By value: cloudpickle would look for one like it in all modules, some of which
                # warn of being looked at.
                return self._dynamic_function_reduce(obj)
            return super().reducer_override(obj)
        if isinstance(obj, BaseException):
            reduced = reduce_raised(obj, _fill_raised if self.keeps_traces else None)
            return reduce_named(obj) if reduced is NotImplemented else reduced
        if type(obj) is REFERENCE:
            return _reduce_reference(obj, self._side.namespace)
        for reduce in (reduce_strided, reduce_frame):
            if (reduced := reduce(obj)) is not NotImplemented:
                return reduced
        return reduce_named(obj)

    def _number(self, value: Any) -> tuple[Any, ...]:
        make, arguments = value.__reduce_ex__(4)[:2]
        if value != value and (number := self._side.nans.number(value)) is not None:
            return _nan, (number, make, arguments)
        return make, arguments

    def _note_class(self, kind: type) -> None:
        identifier = internals._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(kind)
        if identifier is not None:
            self._side.class_ids.add(identifier)


def _closed(kind: type[io.StringIO | io.BytesIO], attributes: dict[str, Any]) -> Any:
    made = kind()
    made.__dict__.update(attributes)
    made.close()
    return made


def decode(packed: Packed, side: Side, find: Callable[[Any], Any] | None = None) -> Any:
    """Unpickle what the other side has encoded.

    Parameters
    ----------
    packed
        What came.
    side
        This side.
    find
        Gives the object that stands at a place which the other side sent instead of it.
    """
    with _on(side):
        if packed.refers:
            return _Decoder(packed, side.nans, find).load()
        return pickle.loads(packed.data, buffers=packed.buffers)


class _Decoder(pickle.Unpickler):
    def __init__(self, packed: Packed, nans: Nans, find: Callable[[Any], Any] | None) -> None:
        super().__init__(io.BytesIO(packed.data), buffers=packed.buffers)
        self._nans, self._own_nans = nans, dict[int, float]()
        self._find = find

    def persistent_load(self, sent: Any) -> Any:
        """The NaN, or what this side has at a place."""
        if sent[0] == NAN:
            return self._nans.found(sent, self._own_nans)
        if self._find is None:
            raise pickle.UnpicklingError(f"nobody knows what stands at {sent}")
        return self._find(sent)


def digest(packed: Packed) -> bytes:
    """A digest of the content, 16 bytes. Equal content may have several, different never one."""
    import xxhash

    state = xxhash.xxh3_128(packed.data)
    for buffer in packed.buffers:
        view = memoryview(buffer).cast("B") if memoryview(buffer).contiguous else bytes(buffer)
        state.update(len(view).to_bytes(8, "little"))
        state.update(view)
    return state.digest()


@contextmanager
def _on(side: Side) -> Iterator[None]:
    before, _current.side = _current.side, side
    try:
        yield
    finally:
        _current.side = before


def _here() -> Side:
    if _current.side is None:
        raise pickle.UnpicklingError("a notebook's value can only be read by mpmagic itself")
    return _current.side


def _nan(number: int, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    nans = _here().nans
    value = nans.known(number)
    if value is None:
        value = make(*arguments)
        nans.keep(number, value)
    return value


def _fill_raised(error: BaseException, filling: Any) -> None:
    fill_raised(error, filling, _here().namespace)


def _fetch_captured(name: str) -> Any:
    return _here().captured[name]


def _fetch_class(identifier: str) -> type:
    kind: type = internals._DYNAMIC_CLASS_TRACKER_BY_ID[identifier]
    return kind


def _reduce_function(function: types.FunctionType) -> tuple[Any, ...]:
    state, slots = function_state(function)
    slots["__globals__"] = {}
    if parameters := getattr(function, "__type_params__", ()):
        slots["__type_params__"] = parameters
    arguments = (function.__code__, len(function.__code__.co_freevars))
    return _make_function, arguments, (state, slots), None, None, _fill_function


def _fill_function(function: types.FunctionType, state: Any) -> None:
    space = function.__globals__
    before = space.get("__builtins__")
    internals._function_setstate(function, state)
    # cloudpickle puts its own there: in a notebook a name too many, or another value.
    if before is None:
        space.pop("__builtins__", None)
    else:
        space["__builtins__"] = before


def _reduce_reference(reference: Any, namespace: dict[str, Any]) -> tuple[Any, ...]:
    kinds = (reference.__forward_is_argument__, reference.__forward_is_class__)
    arguments = (reference.__forward_arg__, reference.__forward_module__, *kinds)
    state = reference_state(reference, namespace)
    return _make_reference, arguments, state, None, None, _fill_reference


def _make_reference(text: str, module: str | None, is_argument: bool, is_class: bool) -> Any:
    return typing.ForwardRef(text, module=module, is_argument=is_argument, is_class=is_class)


def _fill_reference(reference: Any, state: tuple[Any, ...]) -> None:
    fill_reference(reference, state, _here().namespace)


def _whole(kind: type, reduced: Any) -> Any:
    """A class's reduction with what cloudpickle leaves out: its slots, and its annotations."""
    if reduced is NotImplemented:
        return reduced
    make, arguments, *rest = reduced
    if make in (internals._make_skeleton_class, internals._make_skeleton_enum):
        add_annotations(kind, rest[0][0])
    slots = vars(kind).get("__slots__")
    if not slots or make is not internals._make_skeleton_class:
        return reduced
    constructor, name, bases, members, *others = arguments
    return make, (constructor, name, bases, members | {"__slots__": slots}, *others), *rest


def _cached_property(function: Any, name: str | None, doc: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname, made.__doc__ = name, doc
    return made


def _cached(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _make_function(code: types.CodeType, cells: int) -> types.FunctionType:
    closure = tuple(types.CellType() for _ in range(cells)) or None
    return types.FunctionType(code, _here().namespace, None, None, closure)
