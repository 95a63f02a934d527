"""Exceptions that are values: ``errors.append(error)`` keeps one with its traceback.

Pickle leaves out what an exception gets by being raised: the traceback, and what it's chained to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mpmagic.heaptypes import builtin_base, own_members
from mpmagic.pool.traces import Spot, flattened, restored, space_of_module
from mpmagic.run.tidying import without_ours

__all__ = ["fill_raised", "reduce_raised"]

Filling = Callable[[BaseException, Any], None]


def reduce_raised(error: BaseException, fill: Filling | None) -> Any:
    """How an exception is pickled; `NotImplemented` if that is its class's own affair.

    Parameters
    ----------
    error
        The exception.
    fill
        Gives an exception that was made again its state, with `fill_raised`; None if what it gets
        by being raised isn't to be kept.
    """
    reduced = error.__reduce_ex__(5)
    if isinstance(reduced, str) or len(reduced) > 3:
        return NotImplemented
    make, arguments, *state = reduced
    if make is type(error) and (base := _base_to_begin_with(make)) is not None:
        make, arguments = _begun, (base, make, arguments)
    state = [values for values in state if values]  # to look at `__dict__` gives it an empty one
    chained = error.__cause__, error.__context__, error.__suppress_context__
    if fill is None or (error.__traceback__ is None and not any(chained)):
        return make, arguments, *state
    trace = flattened(without_ours(error.__traceback__))
    return make, arguments, (state, trace, *chained), None, None, fill


def _base_to_begin_with(kind: type[BaseException]) -> type[BaseException] | None:
    """The builtin that an exception's class derives from, if it makes its own arguments.

    Pickle would call the class with what that has handed on: ``super().__init__(f"bad {item}")``.
    """
    own = own_members(kind)
    if any(name in members for members in own for name in _OF_PICKLE):
        return None
    if not any("__init__" in members or "__new__" in members for members in own):
        return None
    base: type[BaseException] = builtin_base(kind)
    return base


_OF_PICKLE: Final = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")


def _begun(
    base: type[BaseException], kind: type[BaseException], arguments: tuple[Any, ...]
) -> BaseException:
    error = base.__new__(kind, *arguments)
    base.__init__(error, *arguments)
    return error


def fill_raised(error: BaseException, filling: Any, namespace: dict[str, Any]) -> None:
    """Give it back what it had; frames of the notebook have this `namespace`."""
    state, trace, cause, context, suppress = filling
    for values in state:
        error.__setstate__(values)

    def space(spot: Spot) -> dict[str, Any] | None:
        return namespace if spot.module.get("__name__") == "__main__" else space_of_module(spot)

    error.__traceback__ = restored(trace, space)
    error.__cause__, error.__context__ = cause, context
    error.__suppress_context__ = suppress
