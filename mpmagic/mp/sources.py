"""The text of the notebook's cells, for the tracebacks of its child processes."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["Source", "Sources", "add_sources", "labels", "sources_of"]


class Source(NamedTuple):
    """One cell: what the notebook calls it, and its lines."""

    label: str
    lines: list[str]


Sources = dict[str, Source]

_known: Sources = {}


def sources_of(files: Iterable[str]) -> Sources:
    """Give those of the files that are cells, by the names that their code was compiled under."""
    found = {}
    for name in files:
        entry = linecache.cache.get(name)
        if name in _known:  # in a child that passes a function on
            found[name] = _known[name]
        elif entry is not None and len(entry) == 4 and entry[1] is None:
            found[name] = Source(_label(name), list(entry[2]))
    return found


def add_sources(sources: Sources) -> None:
    """Let tracebacks of this process show these cells."""
    for name, source in sources.items():
        if name not in linecache.cache:
            text = "".join(source.lines)
            linecache.cache[name] = (len(text), None, source.lines, name)
            _known[name] = source


def labels(files: Iterable[str]) -> dict[str, str]:
    """Give what the notebook calls its cells, by the names of their files."""
    return {name: source.label for name, source in sources_of(files).items()}


def _label(name: str) -> str:
    shell = _shell()
    named = shell.compile.format_code_name(name) if shell is not None else None
    return " ".join(named) if named else f'File "{name}"'


def _shell() -> Any:
    import sys

    if (ipython := sys.modules.get("IPython")) is None:
        return None
    return ipython.get_ipython()
