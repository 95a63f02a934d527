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
import io
import pickle
import types
from collections.abc import Callable
from typing import Any, Final

import cloudpickle
from cloudpickle import cloudpickle as internals

from mpmagic.pool import in_worker
from mpmagic.pool.attaching import DISPATCH_TABLE, attachable
from mpmagic.puremodules import is_of_pure_module
from mpmagic.run.arrowcolumns import reduce_column
from mpmagic.run.frameattributes import reduce_frame
from mpmagic.run.layout import reduce_strided
from mpmagic.run.lent import fetch_lent, token_of
from mpmagic.run.named import reduce_named
from mpmagic.run.nans import NAN, Nans, are_in, is_number
from mpmagic.run.packed import Packed
from mpmagic.run.raised import reduce_raised
from mpmagic.run.reducing import (
    Cell,
    Cells,
    fill_raised_here,
    reduce_function,
    reduce_special,
    whole_class,
)
from mpmagic.run.remade import reduce_remade
from mpmagic.run.side import Side, fetch_captured, fetch_class, nan, reading_on
from mpmagic.run.tensors import reduce_tensor
from mpmagic.run.views import Views

__all__ = ["Encoder", "decode"]

_PARTS: Final = (types.CodeType, types.CellType, Cell)
_OURS: Final = frozenset({"cloudpickle", "mpmagic"})

_IN_BAND_BELOW: Final = 4096
"""Bytes under which a buffer isn't worth a place of its own."""


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
    is_plain
        Whether nothing was met that has code of its own, the functions of the notebook apart.
    """

    dispatch_table = DISPATCH_TABLE
    keeps_traces = True
    """Whether exceptions keep what they get by being raised."""

    def __init__(
        self,
        side: Side,
        *,
        by_reference: bool,
        place_of: Callable[[Any], Any] | None = None,
        file: io.BytesIO | None = None,
    ) -> None:
        self._file = file or io.BytesIO()
        self._buffers: list[pickle.PickleBuffer] = []
        # No method of this object is kept by it: what was pickled would live until garbage is
        # collected, and its finalizers run then.
        kept = functools.partial(_keep_out_of_band, self._buffers)
        super().__init__(self._file, protocol=5, buffer_callback=kept)
        self._side = side
        self._by_reference = by_reference
        self._references = side.references() if by_reference else {}
        self.functions: list[types.FunctionType] = []
        self.modules: set[str] = set()
        self.is_plain = True
        self._cells = Cells()
        self._views = Views()
        self._place_of = place_of
        if place_of is not None:
            self.persistent_id = place_of

    def encode(self, value: Any) -> Packed:
        """Pickle one value; an encoder is used once.

        Raises
        ------
        Exception
            Whatever the value's own code raises, `pickle.PicklingError` and `TypeError` mostly.
        """
        self.dump_alone(value)
        refers = self._place_of is not None
        if self._by_reference and self._shares_memory():
            self._forget()
            self.dump_alone(value)
        if are_in(self._file.getvalue()):  # once more, and slower: it's asked about each object
            self._forget()
            self.persistent_id = _naming_nans(self._side.nans, self._place_of)
            self.dump_alone(value)
            refers = True
        return Packed(self._file.getvalue(), tuple(self._buffers), refers=refers)

    def dump_alone(self, value: Any) -> None:
        """Pickle it into the file, NaNs as any other number."""
        if in_worker():
            self.dump(value)
        else:
            with attachable(pipes=False):
                self.dump(value)

    def _shares_memory(self) -> bool:
        """Whether arrays among it do, which is to stay so."""
        return "pandas" not in {m.partition(".")[0] for m in self.modules} and self._views.share()

    def _forget(self) -> None:
        self.clear_memo()
        self._file.seek(0)
        self._file.truncate()
        for gathered in (self._buffers, self.functions, self.modules):
            gathered.clear()

    def reducer_override(self, obj: Any) -> Any:
        """The rules of this module; cloudpickle's for everything else."""
        if is_number(obj):  # there may be many, and the other questions take longer than the rest
            return self._number(obj)
        if (token := token_of(obj)) is not None:
            return fetch_lent, (token,)
        name = self._references.get(id(obj))
        if name is not None:
            return fetch_captured, (name,)
        if isinstance(obj, types.FunctionType) and obj.__globals__ is self._side.namespace:
            self.functions.append(obj)
            return reduce_function(obj, self._cells)
        self.is_plain = self.is_plain and _is_plain(obj)
        if isinstance(obj, types.FunctionType | type):
            self.modules.add(str(obj.__module__))
        elif isinstance(obj, types.ModuleType):
            self.modules.add(obj.__name__)
        elif isinstance(obj, types.BuiltinFunctionType) and obj.__module__:
            self.modules.add(obj.__module__)
        if (reduced := reduce_special(obj, self._side.namespace)) is not NotImplemented:
            return reduced
        if isinstance(obj, type):
            identifier = internals._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(obj)
            if self._by_reference and identifier in self._side.class_ids:
                return fetch_class, (identifier,)
            reduced = whole_class(obj, super().reducer_override(obj))
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
            reduced = reduce_raised(obj, fill_raised_here if self.keeps_traces else None)
            return reduce_named(obj) if reduced is NotImplemented else reduced
        if (reduced := self._views.reduce(obj)) is not NotImplemented:
            return reduced
        if self._by_reference:
            self._views.note(obj)
        for reduce in (reduce_remade, reduce_strided, reduce_frame, reduce_column, reduce_tensor):
            if (reduced := reduce(obj)) is not NotImplemented:
                return reduced
        return reduce_named(obj)

    def _number(self, value: Any) -> tuple[Any, ...]:
        make, arguments = value.__reduce_ex__(4)[:2]
        if value != value and (number := self._side.nans.number(value)) is not None:
            return nan, (number, make, arguments)
        return make, arguments

    def _note_class(self, kind: type) -> None:
        identifier = internals._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(kind)
        if identifier is not None:
            self._side.class_ids.add(identifier)


def _is_plain(obj: Any) -> bool:
    """Whether it's part of how a function travels, or surely changes nothing when it's called."""
    if isinstance(obj, types.FunctionType) and str(obj.__module__).partition(".")[0] in _OURS:
        return True
    return isinstance(obj, _PARTS) or obj is types.CodeType or is_of_pure_module(obj)


def _naming_nans(
    nans: Nans, place_of: Callable[[Any], Any] | None
) -> Callable[[Any], tuple[Any, ...] | None]:
    own: dict[int, tuple[int, float]] = {}

    def named(obj: Any) -> tuple[Any, ...] | None:
        if type(obj) is float and obj != obj:
            return nans.token(obj, own)
        return None if place_of is None else place_of(obj)

    return named


def _keep_out_of_band(kept: list[pickle.PickleBuffer], buffer: pickle.PickleBuffer) -> bool:
    try:
        small = buffer.raw().nbytes < _IN_BAND_BELOW
    except BufferError:  # not contiguous
        return True
    if not small:
        kept.append(buffer)
    return small


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
    with reading_on(side):
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
