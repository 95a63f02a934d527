"""Texts of the notebook's cells, for tracebacks and `inspect` in a worker."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from types import FunctionType

__all__ = ["Texts", "forget_texts", "keep_texts", "texts_of"]

Texts = tuple[tuple[str, str], ...]
"""Names under which cells are compiled, and their texts."""

_added: set[str] = set()


def texts_of(functions: Iterable[FunctionType], filename: str, text: str) -> Texts:
    """The texts of a cell, and of those in which functions were made that its work calls."""
    texts = {}
    for name in {function.__code__.co_filename for function in functions}:
        entry = linecache.cache.get(name)
        if entry is not None and len(entry) == 4 and entry[1] is None:  # no file
            texts[name] = "".join(entry[2])
    return tuple(sorted((texts | {filename: text}).items()))


def keep_texts(texts: Texts) -> None:
    """Let tracebacks and `inspect` find the lines."""
    for name, text in texts:
        if name not in linecache.cache or name in _added:  # else this is the notebook's process
            _added.add(name)
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)


def forget_texts(texts: Texts, kept: Iterable[Texts]) -> None:
    """Keep no text for ever, those apart that are still used."""
    used = {name for other in kept for name, _ in other}
    for name, _ in texts:
        if name in _added - used:
            _added.discard(name)
            linecache.cache.pop(name, None)
