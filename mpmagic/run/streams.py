"""Generators of random numbers as the shadow draws from them: copies with the streams of theirs.

Generators that share a bit generator share its copy. The notebook's own follow with the commits, so
that at any time they are where the serial loop would have them. If they then aren't where their
copies were, something else draws from them too.
"""

from __future__ import annotations

import ast
import copy
import operator
import pickle
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from mpmagic.cell.draw import STEPPING, Draw
from mpmagic.errors import LostWrite
from mpmagic.run.flowing import Held, Steps, is_flowing
from mpmagic.run.globalstreams import modules_drawing_from

__all__ = ["Leap", "Streams", "may_be_drawn"]

_LARGE: Final = 1 << 16
"""Bytes from which on it's cheaper to set a generator's state than to draw them once more."""

_SCALARS: Final = (int, float, complex, str, bytes, bool, type(None))


class Leap(NamedTuple):
    """How a draw has moved a generator on: its states before it and after it."""

    before: Any
    after: Any


class Drawing:
    """Makes a draw from a copy of its generator.

    Parameters
    ----------
    owner
        The copy.
    function
        What draws from it.
    alone
        Whether it draws once in an iteration, not in a comprehension.

    Attributes
    ----------
    leap
        How the last draw has moved the copy on; None unless much is drawn at once.
    """

    def __init__(self, owner: Any, function: Callable[..., Any], *, alone: bool) -> None:
        self.leap: Leap | None = None
        self._owner, self._method = owner, function
        self._may_leap = alone and _can_leap(owner)
        self._is_large = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Draw."""
        self.leap = None
        if not self._is_large:
            value = self._method(*args, **kwargs)
        else:
            before = _state(self._owner)
            value = self._method(*args, **kwargs)
            self.leap = Leap(before, _state(self._owner))
        # The next one will be about as large.
        self._is_large = self._may_leap and getattr(value, "nbytes", 0) >= _LARGE
        return value


class Streams:
    """The streams that a loop draws from.

    Parameters
    ----------
    draws
        Its draws.
    namespace
        The notebook's.

    Attributes
    ----------
    drawing
        For each draw, what makes it from the copy.

    Raises
    ------
    LookupError
        If one of them isn't what it seemed, with the reason.
    """

    def __init__(self, draws: tuple[Draw, ...], namespace: dict[str, Any]) -> None:
        self._draws = draws
        self._owners = Held(_owner(draw, namespace) for draw in draws)
        # In one go: what they share their copies share.
        streams = [owner for owner in self._owners if _is_generator(owner)]
        copies = dict(zip(map(id, streams), copy.deepcopy(streams), strict=True))
        copies |= {id(o): copy.copy(o) for o in self._owners if type(o) in STEPPING}
        self._copies = Held(copies.get(id(owner), owner) for owner in self._owners)
        pairs = [*zip(draws, self._copies, strict=True)]
        functions = [_function(draw, other, namespace) for draw, other in pairs]
        self.drawing = [
            Drawing(other, function, alone=draw.is_alone)
            for (draw, other), function in zip(pairs, functions, strict=True)
        ]
        self._steps = {n: f for n, f in enumerate(functions) if isinstance(f, Steps)}

    @property
    def modules(self) -> frozenset[str]:
        """Those whose global stream is among them."""
        return modules_drawing_from(self._owners)

    def left(self, number: int) -> Iterable[Any]:
        """The items that are left of an iterator."""
        other = self._copies[number]
        if is_flowing(other):
            return ()
        return () if type(other).__name__.endswith("range_iterator") else copy.copy(other)

    def flows(self, number: int) -> bool:
        """Whether an iterator is stepped itself, ahead of the commits."""
        return is_flowing(self._owners[number])

    def raised_by(self, error: BaseException) -> int | None:
        """Which of the steps of such iterators has raised that; None if none has."""
        found = (n for n, steps in self._steps.items() if steps.failure is error)
        return next(found, None)

    def may_draw_from(self, value: Any) -> bool:
        """Whether to look into a value, and to take an element of it, does nothing else.

        What is taken must be nothing that the notebook holds and that can be changed: `random`
        hands out the very elements, and rows of an array that are views of it, and so does what
        iterates over them.
        """
        kind = type(value)
        if kind in (range, *_SCALARS):
            return True
        by_numpy = all(str(type(owner).__module__).startswith("numpy.") for owner in self._owners)
        copying = by_numpy and all(draw.is_alone for draw in self._draws)
        if kind in (list, tuple):
            return all(map(may_be_drawn if copying else _is_immutable, value))
        plain = _is_array(value) and not value.dtype.hasobject
        return plain and (copying or value.ndim == 1)

    def move(self, number: int, leap: Leap) -> bool:
        """Move a generator of the notebook's on; whether it was where its copy was."""
        owner = self._owners[number]
        if not _is_like(_state(owner), leap.before):
            return False
        if hasattr(owner, "set_state"):
            owner.set_state(leap.after)
        else:
            owner.bit_generator.state = leap.after
        return True

    def check_even(self) -> None:
        """Make sure that, the loop being over, nothing else has drawn from its streams.

        Raises
        ------
        LostWrite
            If something has.
        """
        for number, pair in enumerate(zip(self._owners, self._copies, strict=True)):
            if not _is_like(*map(_state, pair)):
                raise self.differs(number)

    def unmade(self, number: int, reason: str) -> LostWrite:
        """The error that a draw wasn't made ahead, though the iteration makes it."""
        draw = self._draws[number]
        return LostWrite(
            f"line {draw.call.lineno}: `{draw.text}` couldn't be made ahead of the work ({reason})."
            f" The iterations before it are committed. Run the cell without %%parallel"
        )

    def differs(self, number: int) -> LostWrite:
        """The error that a draw isn't what it was ahead."""
        draw = self._draws[number]
        return LostWrite(
            f"line {draw.call.lineno}: `{draw.text}` gave something else than was taken ahead "
            f"for the work: something else in the loop draws from the same stream, or changes what "
            f"it takes from. The iterations before it are committed. To mend it, hand in a "
            f"generator of its own to what draws, or run the cell without %%parallel"
        )


def _owner(draw: Draw, namespace: dict[str, Any]) -> Any:
    """What is drawn from; `LookupError` if that can't be told."""
    if draw.steps:
        owner = namespace.get(draw.owner)
    else:
        owner = getattr(_method(draw.call.func, namespace), "__self__", None)
    stepped = type(owner) in STEPPING or is_flowing(owner)
    if not (stepped if draw.steps else _is_generator(owner)):
        raise LookupError(f"`{ast.unparse(draw.call)}` takes from a {type(owner).__name__}")
    return owner


def _function(draw: Draw, other: Any, namespace: dict[str, Any]) -> Callable[..., Any]:
    """What draws from the copy as the call does from its own."""
    if draw.steps:
        return Steps(other)
    made: Callable[..., Any] = getattr(other, _method(draw.call.func, namespace).__name__)
    return made


def _method(node: ast.expr, namespace: dict[str, Any]) -> Any:
    """What a name, or an attribute of one, stands for."""
    if isinstance(node, ast.Attribute):
        return getattr(_method(node.value, namespace), node.attr, None)
    return namespace.get(node.id) if isinstance(node, ast.Name) else None


def _is_generator(owner: Any) -> bool:
    kind = type(owner)
    if kind is random.Random:
        return True
    numpy = sys.modules.get("numpy.random")
    if numpy is None or kind not in (numpy.RandomState, numpy.Generator):
        return False
    return str(type(_bits(owner)).__module__).startswith("numpy.random.")


def _bits(owner: Any) -> Any:
    return getattr(owner, "bit_generator", None) or owner._bit_generator


def _can_leap(owner: Any) -> bool:
    """Whether its state can be set to another."""
    if isinstance(owner, random.Random) or type(owner) in STEPPING or is_flowing(owner):
        return False
    return not hasattr(owner, "set_state") or type(_bits(owner)).__name__ == "MT19937"


def _state(owner: Any) -> Any:
    if is_flowing(owner):
        return None
    if isinstance(owner, random.Random):
        return owner.getstate()
    if type(owner) in STEPPING:
        return operator.length_hint(owner)
    if hasattr(owner, "get_state"):
        return owner.get_state(legacy=False)
    return owner.bit_generator.state


def _is_like(one: Any, other: Any) -> bool:
    return pickle.dumps(one) == pickle.dumps(other)


def _is_immutable(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return all(map(_is_immutable, value))
    return kind in _SCALARS or (may_be_drawn(value) and kind is not list and not _is_array(value))


def may_be_drawn(value: Any) -> bool:
    """Whether what was drawn is a value of its own, nothing that the notebook holds too."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind.__module__ == "numpy" and hasattr(value, "dtype"):
        return not value.dtype.hasobject
    return kind in (list, tuple) and all(map(may_be_drawn, value))


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray
