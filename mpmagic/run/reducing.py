"""How functions, classes and some objects of the standard library are pickled for the other side.

Where cloudpickle would do it otherwise it says why.
"""

from __future__ import annotations

import datetime
import functools
import importlib
import io
import sys
import types
import typing
from typing import Any, Final

from cloudpickle import cloudpickle as internals

from mpmagic.run.annotated import (
    REFERENCE,
    add_annotations,
    fill_reference,
    function_state,
    reference_state,
)
from mpmagic.run.raised import fill_raised
from mpmagic.run.side import here

__all__ = ["Cell", "Cells", "fill_raised_here", "reduce_function", "reduce_special", "whole_class"]

_ISO_DATE: Final = type(datetime.date.min.isocalendar())


def reduce_special(obj: Any, namespace: dict[str, Any]) -> Any:
    """Reduce what cloudpickle can't, or makes something else of; `NotImplemented` for all others.

    Parameters
    ----------
    obj
        The object.
    namespace
        The notebook's.

    Raises
    ------
    TypeError
        If it belongs to its process.
    """
    if isinstance(obj, types.ModuleType) and type(obj) is not types.ModuleType:
        if sys.modules.get(obj.__name__) is obj:  # cloudpickle looks at the exact type
            return importlib.import_module, (obj.__name__,)
    if type(obj) is functools.cached_property:  # before Python 3.12 it holds a lock
        return _cached_property, (obj.func, obj.attrname, obj.__doc__)
    if isinstance(obj, functools._lru_cache_wrapper):
        inner = obj.__wrapped__
        if getattr(inner, "__globals__", None) is namespace:
            return _cached, (inner, dict(obj.cache_parameters()))
    if isinstance(obj, io.TextIOWrapper) and obj not in (sys.stdout, sys.stderr):
        # cloudpickle would read it, and make a file in memory of what it holds.
        raise TypeError("cannot pickle an open file")
    if type(obj) in (io.StringIO, io.BytesIO) and obj.closed:
        return _closed, (type(obj), vars(obj))  # it can't be asked for what it holds
    if isinstance(obj, memoryview):
        # cloudpickle would make bytes of it: another type, and no view of anything.
        raise TypeError("cannot pickle 'memoryview' object")
    if type(obj) is REFERENCE:
        return _reduce_reference(obj, namespace)
    if type(obj) is _ISO_DATE:  # by itself it becomes a plain tuple
        return _iso_date, tuple(obj)
    return NotImplemented


def _iso_date(year: int, week: int, day: int) -> Any:
    return datetime.date.fromisocalendar(year, week, day).isocalendar()


class Cells:
    """Stand-ins for the cells of functions in one pickle: what several close over stays one.

    They travel empty. What they hold follows with each function, which it may lead back to.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[types.CellType, Cell]] = {}  # alive, for it's known by its id

    def of(self, function: types.FunctionType) -> tuple[Cell, ...]:
        """Those of a function."""
        cells = function.__closure__ or ()
        return tuple(self._known.setdefault(id(cell), (cell, Cell()))[1] for cell in cells)


class Cell:
    """Stands for a cell."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _empty_cell, ()


def _empty_cell() -> types.CellType:
    return types.CellType()


def reduce_function(function: types.FunctionType, cells: Cells) -> tuple[Any, ...]:
    """A function of the notebook, without its globals."""
    state, slots = function_state(function)
    slots["__globals__"] = {}
    if parameters := getattr(function, "__type_params__", ()):
        slots["__type_params__"] = parameters
    arguments = (function.__code__, cells.of(function))
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


def _make_function(code: types.CodeType, cells: tuple[types.CellType, ...]) -> types.FunctionType:
    return types.FunctionType(code, here().namespace, None, None, cells or None)


def whole_class(kind: type, reduced: Any) -> Any:
    """A class's reduction with what cloudpickle leaves out: slots, annotations, where it's from."""
    if reduced is NotImplemented:
        return reduced
    make, arguments, *rest = reduced
    if make in (internals._make_skeleton_class, internals._make_skeleton_enum):
        add_annotations(kind, rest[0][0])
    if make is internals._make_skeleton_enum:
        state, *_, fill = rest
        return make, arguments, (fill, state, *_members_of(kind)), None, None, _fill_enum
    if make is not internals._make_skeleton_class:
        return reduced
    left_out = {"__qualname__": kind.__qualname__} if kind.__qualname__ != kind.__name__ else {}
    if slots := vars(kind).get("__slots__"):
        left_out["__slots__"] = slots
    constructor, name, bases, members, *others = arguments
    return make, (constructor, name, bases, members | left_out, *others), *rest


def _members_of(kind: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What an enumeration's own ``__init__`` has put into its members, and other names of these."""
    own = {"_value_", "_name_", "__objclass__", "_sort_order_"}
    members = kind.__members__.items()
    states = {n: {k: v for k, v in vars(m).items() if k not in own} for n, m in members}
    return states, {n: m.name for n, m in members if n != m.name}


def _fill_enum(kind: Any, filling: tuple[Any, ...]) -> None:
    fill, state, states, others = filling
    fill(kind, state)
    for other, name in others.items():
        kind._member_map_.setdefault(other, kind._member_map_[name])
        type.__setattr__(kind, other, kind._member_map_[name])
    for name, values in states.items():
        vars(kind._member_map_[name]).update(values)


def fill_raised_here(error: BaseException, filling: Any) -> None:
    """Give an exception what it has got by being raised."""
    fill_raised(error, filling, here().namespace)


def _reduce_reference(reference: Any, namespace: dict[str, Any]) -> tuple[Any, ...]:
    kinds = (reference.__forward_is_argument__, reference.__forward_is_class__)
    arguments = (reference.__forward_arg__, reference.__forward_module__, *kinds)
    state = reference_state(reference, namespace)
    return _make_reference, arguments, state, None, None, _fill_reference


def _make_reference(text: str, module: str | None, is_argument: bool, is_class: bool) -> Any:
    return typing.ForwardRef(text, module=module, is_argument=is_argument, is_class=is_class)


def _fill_reference(reference: Any, state: tuple[Any, ...]) -> None:
    fill_reference(reference, state, here().namespace)


def _cached_property(function: Any, name: str | None, doc: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname, made.__doc__ = name, doc
    return made


def _cached(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _closed(kind: type[io.StringIO | io.BytesIO], attributes: dict[str, Any]) -> Any:
    made = kind()
    made.__dict__.update(attributes)
    made.close()
    return made
