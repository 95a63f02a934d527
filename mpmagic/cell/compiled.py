"""Parts of a cell compiled as the notebook would: with its features, without saying things twice.

``from __future__ import annotations`` holds for all cells after it. And the compiler warns of what
looks wrong (``x is 1``, a ``return`` in ``finally``): each statement of a cell does that before it
runs, and the parts that it's split into are compiled besides.
"""

from __future__ import annotations
import __future__

import ast
import functools
import operator
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

__all__ = [
    "Warned",
    "annotations_wait",
    "compiled",
    "features_in",
    "features_of",
    "features_on",
    "warnings_kept",
]

Warned = list[tuple[Any, ...]]
"""Warnings: for each what `warnings.showwarning` takes, its line the fourth."""

_FLAGS: Final[dict[str, int]] = {
    name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names
}

_features: ContextVar[int] = ContextVar("features of the cell that is compiled", default=0)


def compiled(part: ast.mod, filename: str, mode: str, *, awaits: bool = False) -> types.CodeType:
    """The code of a part of a cell, without the warnings that the whole has given already.

    Raises
    ------
    SyntaxError, RecursionError
        If it's nested more deeply than Python allows.
    """
    more = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if awaits else 0
    with warnings_kept():
        code: types.CodeType = compile(  # type: ignore[call-overload]
            part, filename, mode, flags=_features.get() | more, dont_inherit=True
        )
    return code


def features_of(flags: int) -> int:
    """Those of a compiler's flags that are features of `__future__`."""
    return flags & functools.reduce(operator.or_, _FLAGS.values())


def features_in(tree: ast.Module) -> int:
    """The features that a cell asks for itself."""
    asked = (n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__")
    names = [alias.name for node in asked for alias in node.names]
    return functools.reduce(operator.or_, (_FLAGS.get(name, 0) for name in names), 0)


@contextmanager
def features_on(flags: int) -> Iterator[None]:
    """While open, parts are compiled with the features that are among a compiler's flags."""
    token = _features.set(features_of(flags))
    try:
        yield
    finally:
        _features.reset(token)


def annotations_wait() -> bool:
    """Whether annotations are evaluated only when somebody asks for them, or never."""
    return sys.version_info >= (3, 14) or bool(_features.get() & _FLAGS["annotations"])


@contextmanager
def warnings_kept() -> Iterator[Warned]:
    """While open, warnings that would be shown are kept in a list."""
    kept: Warned = []
    # Not `catch_warnings`, which has Python forget what it has shown.
    shown, warnings.showwarning = warnings.showwarning, lambda *warning: kept.append(warning)
    try:
        yield kept
    finally:
        warnings.showwarning = shown
