"""Annotations of the notebook's functions and classes, which travel with them.

From Python 3.14 on they are evaluated when somebody asks for them, and may name what isn't defined
yet. cloudpickle asks for a function's, and leaves out those of a class. Here a function's travel as
the code that makes them. That of a class, and of its methods, has hold of all that the class was
made of: these are evaluated; what can't be is an error only where a worker asks for it.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
import typing
from typing import Any, Final, NoReturn, cast

from cloudpickle import cloudpickle as internals

from mpmagic.errors import UnsendableValue

__all__ = ["REFERENCE", "add_annotations", "fill_reference", "function_state", "reference_state"]

REFERENCE: Final = typing.ForwardRef if sys.version_info >= (3, 14) else None
"""The type of a name that an annotation couldn't evaluate; before Python 3.14 it's plain text."""

_VALUE: Final = 1  # annotationlib.Format.VALUE
_COPIED: Final = ("__qualname__", "__module__", "__doc__", "__kwdefaults__")


def function_state(function: types.FunctionType) -> tuple[dict[str, Any], dict[str, Any]]:
    """A function's attributes and what else it holds, as cloudpickle sets them again."""
    annotate = getattr(function, "__annotate__", None)
    if annotate is None or _is_evaluated(function):
        return internals._function_getstate(function)  # type: ignore[no-any-return]
    state, slots = internals._function_getstate(_bare(function))
    del slots["__annotations__"]
    freevars = getattr(annotate, "__code__", function.__code__).co_freevars
    if isinstance(annotate, types.FunctionType) and "__classdict__" not in freevars:
        return state, slots | {"__annotate__": annotate}
    return state, slots | _evaluated(function, annotate)


def _is_evaluated(function: types.FunctionType) -> bool:
    """Whether somebody has asked for its annotations, and may have changed them since.

    To ask for them would evaluate them. The function leads to the dictionary if there is one.
    """
    built_in = cast(Any, function).__builtins__  # not every typeshed knows it
    others = (function.__globals__, built_in, function.__kwdefaults__, vars(function))
    held = [part for part in gc.get_referents(function) if type(part) is dict]
    return any(all(part is not other for other in others) for part in held)


def _bare(function: types.FunctionType) -> types.FunctionType:
    """The same function without its annotations."""
    given = (function.__name__, function.__defaults__, function.__closure__)
    bare = types.FunctionType(function.__code__, function.__globals__, *given)
    for name in _COPIED:
        setattr(bare, name, getattr(function, name))
    vars(bare).update(vars(function))
    return bare


def add_annotations(kind: type, members: dict[str, Any]) -> None:
    """Put a class's annotations to those of its members that travel, if they aren't there."""
    annotate = vars(kind).get("__annotate_func__")
    if annotate is not None and "__annotations_cache__" not in members:
        members |= _evaluated(kind, annotate)


def _evaluated(owner: type | types.FunctionType, annotate: Any) -> dict[str, Any]:
    """The annotations, or what fails when it's asked for them."""
    try:
        return {"__annotations__": annotate(_VALUE)}
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return {"__annotate__": functools.partial(_fail, owner.__qualname__, reason)}


def _fail(owner: str, reason: str, _format: int) -> NoReturn:
    raise UnsendableValue(
        f"the annotations of `{owner}` could not be sent to a worker, which asks for them: {reason}"
    )


def reference_state(reference: Any, namespace: dict[str, Any]) -> tuple[Any, ...]:
    """What a reference holds, but for the namespace that it's looked up in, and the class's own."""
    cells = reference.__cell__
    if isinstance(cells, dict):
        cells = {name: cell for name, cell in cells.items() if name != "__classdict__"}
    of_notebook = reference.__globals__ is namespace
    return reference.__owner__, cells, reference.__extra_names__, of_notebook


def fill_reference(reference: Any, state: tuple[Any, ...], namespace: dict[str, Any]) -> None:
    """Have a reference hold what `reference_state` gave."""
    owner, cells, extra, of_notebook = state
    reference.__owner__, reference.__cell__, reference.__extra_names__ = owner, cells, extra
    reference.__globals__ = namespace if of_notebook else None
