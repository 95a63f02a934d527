"""The compiler's warnings of what looks wrong: ``x is 1``, a ``return`` in ``finally``.

Each statement of a cell gives its own before it runs. The parts that it's split into are compiled
besides.
"""

from __future__ import annotations

import ast
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Warned", "compiled", "warnings_kept"]

Warned = list[tuple[Any, ...]]
"""Warnings: for each what `warnings.showwarning` takes, its line the fourth."""


def compiled(part: ast.mod, filename: str, mode: str) -> types.CodeType:
    """The code of a part of a cell, without the warnings that the whole has given already.

    Raises
    ------
    SyntaxError, RecursionError
        If it's nested more deeply than Python allows.
    """
    with warnings_kept():
        code: types.CodeType = compile(part, filename, mode, dont_inherit=True)  # type: ignore[call-overload]
    return code


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
