"""Generators of random numbers as the shadow draws from them: copies with the streams of theirs.

Generators that share a bit generator share its copy. The notebook's own draw once more with the
commits, so that at any time they are where the serial loop would have them; what they give then
must be what was drawn ahead. If it isn't, something else draws from them too.
"""

from __future__ import annotations

import ast
import copy
import pickle
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from mpmagic.cell.draws import Draw

__all__ = ["Streams", "is_same", "may_be_drawn", "may_be_drawn_from"]

_SCALARS: Final = (int, float, complex, str, bytes, bool, type(None))


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
        methods = [_method(draw.call.func, namespace) for draw in draws]
        owners = [getattr(method, "__self__", None) for method in methods]
        for draw, owner in zip(draws, owners, strict=True):
            if not _is_generator(owner):
                kind = type(owner).__name__
                raise LookupError(f"`{ast.unparse(draw.call.func)}` draws from a {kind}")
        copies = copy.deepcopy(owners)
        self._pairs = {id(own): (own, other) for own, other in zip(owners, copies, strict=True)}
        self.drawing: list[Callable[..., Any]] = [
            getattr(other, method.__name__) for other, method in zip(copies, methods, strict=True)
        ]

    def are_even(self) -> bool:
        """Whether the notebook's generators are where the copies are."""
        return all(_state(own) == _state(other) for own, other in self._pairs.values())


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
    bits = owner.bit_generator if kind is numpy.Generator else owner._bit_generator
    return type(bits).__module__.startswith("numpy.random.")


def _state(owner: Any) -> bytes:
    if isinstance(owner, random.Random):
        return pickle.dumps(owner.getstate())
    if hasattr(owner, "get_state"):
        return pickle.dumps(owner.get_state(legacy=False))
    return pickle.dumps(owner.bit_generator.state)


def may_be_drawn_from(value: Any) -> bool:
    """Whether to look into a value, and to take an element of it, does nothing else."""
    if type(value) in (list, tuple):
        return all(map(may_be_drawn, value))
    return type(value) in (range, *_SCALARS) or (_is_array(value) and not value.dtype.hasobject)


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


def is_same(drawn: Mapping[int, Any], number: int, value: Any) -> bool:
    """Whether a value is, to the bit, what was drawn ahead."""
    return number in drawn and _is_same(drawn[number], value)


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if hasattr(one, "tobytes"):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and bool(one.tobytes() == other.tobytes())
    return bool(one == other) or pickle.dumps(one) == pickle.dumps(other)
