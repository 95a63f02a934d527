"""Objects that pickle has the other side find by a name, or a number, which means nothing there.

A type alias, a type variable or a `typing.NewType` of the notebook is pickled as a name in
``__main__``, which a worker would only miss when it looks. They are made again there, once, and
come back as the notebook's own. An interpreter goes by its number, under which the worker may have
another one: that, and any other object that is found by its name, can't be sent.
"""

from __future__ import annotations

import copyreg
import keyword
import typing
import uuid
from collections.abc import Callable
from typing import Any, Final

from cloudpickle import cloudpickle as internals

__all__ = ["reduce_named"]

_ALIAS: Final = getattr(typing, "TypeAliasType", None)  # from Python 3.12 on
_VARIABLES: Final = frozenset({typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple})
_NUMBERED: Final = frozenset({"concurrent.interpreters", "concurrent.interpreters._queues"})
_REDUCE: Final[Any] = object.__reduce__
_REDUCE_EX: Final[Any] = object.__reduce_ex__
_TRAITS: Final = ("bound", "covariant", "contravariant", "infer_variance")


def reduce_named(obj: Any) -> Any:
    """How an object of this kind is pickled; `NotImplemented` for any other.

    Raises
    ------
    TypeError
        If the other side couldn't find it, or would find another.
    """
    kind = type(obj)
    if kind in _VARIABLES or kind is typing.NewType or kind is _ALIAS:
        name = getattr(obj, "__qualname__", obj.__name__)
        if internals._lookup_module_and_qualname(obj, name=name) is not None:
            return NotImplemented  # a library's
        return _reduce_alias(obj) if kind is _ALIAS else _reduce_made(obj, name)
    if kind.__reduce_ex__ is _REDUCE_EX and kind.__reduce__ is _REDUCE:
        return NotImplemented
    if kind.__module__ == "itertools" or kind.__module__ in _NUMBERED:
        # Python 3.14 can't pickle iterators of itertools, and those before it warn.
        raise TypeError(f"cannot pickle '{kind.__module__}.{kind.__qualname__}' object")
    if kind.__module__ == "__main__" and kind not in copyreg.dispatch_table:
        reduced = obj.__reduce_ex__(5)
        if isinstance(reduced, str):
            raise TypeError(f"cannot pickle `{reduced}`, which goes by its name in the notebook")
        return reduced
    return NotImplemented


def _reduce_made(obj: Any, name: str) -> tuple[Any, ...]:
    tracker = internals._get_or_create_tracker_id(obj)
    if type(obj) is typing.NewType:
        return _make, (tracker, typing.NewType, obj.__module__, (name, obj.__supertype__), {})
    traits = {t: getattr(obj, f"__{t}__", None) for t in _TRAITS}
    named = {trait: value for trait, value in traits.items() if value}
    if getattr(obj, "has_default", bool)():
        named["default"] = obj.__default__
    arguments = (name, *getattr(obj, "__constraints__", ()))
    return _make, (tracker, type(obj), obj.__module__, arguments, named)


def _make(
    tracker: str,
    kind: Callable[..., Any],
    module: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> Any:
    """The object that both sides know under `tracker`, made if this side hasn't got it."""
    known = internals._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
    if known is not None:
        return known
    made = kind(*arguments, **named)
    if made.__module__ != module:
        made.__module__ = module
    return internals._lookup_class_or_track(tracker, made)


# Aliases that have been sent or have come: few, small, and nothing can refer to them weakly.
_aliases: dict[str, Any] = {}
_trackers: dict[int, str] = {}
# What those that have been made stand for, until it's known.
_values: dict[int, list[Any]] = {}


def _reduce_alias(alias: Any) -> tuple[Any, ...]:
    tracker = _trackers.setdefault(id(alias), uuid.uuid4().hex)
    _aliases.setdefault(tracker, alias)
    name, parameters, value = alias.__name__, alias.__type_params__, alias.__value__
    if parameters or not name.isidentifier() or keyword.iskeyword(name):
        # One that names itself is too deep to be pickled so, and can't be sent.
        return _make_alias, (tracker, name, parameters, value)
    return _define_alias, (tracker, name), (value,), None, None, _fill_alias


def _make_alias(tracker: str, name: str, parameters: Any, value: Any) -> Any:
    if tracker in _aliases:
        return _aliases[tracker]
    space = {"__name__": "__main__", "kind": _ALIAS, "given": (name, value), "more": parameters}
    return _keep_alias(tracker, eval("kind(*given, type_params=more)", space))


def _define_alias(tracker: str, name: str) -> Any:
    """An alias that gets its value when it has been made: it may name itself."""
    if tracker in _aliases:
        return _aliases[tracker]
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(f"def define(value):\n    type {name} = value[0]\n    return {name}", space)
    value: list[Any] = []
    alias = space["define"](value)
    _values[id(alias)] = value
    return _keep_alias(tracker, alias)


def _fill_alias(alias: Any, value: tuple[Any]) -> None:
    _values.pop(id(alias), []).extend(value)


def _keep_alias(tracker: str, alias: Any) -> Any:
    _trackers[id(alias)] = tracker
    return _aliases.setdefault(tracker, alias)
