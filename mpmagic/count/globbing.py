"""Wildcards in names, as a shell knows them, where a circle of links can't hang the search."""

# A Path per file would take longer than counting it.
# ruff: noqa: PTH118, PTH206

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator

__all__ = ["has_wildcard", "matching"]


def has_wildcard(path: str) -> bool:
    """Whether `path` is a pattern: ``*``, ``?`` or ``[``."""
    return re.search(r"[*?[]", path) is not None


def matching(pattern: str) -> Iterator[str]:
    """Find what exists under the names that `pattern` allows, sorted within each folder.

    ``*`` leaves out names that begin with a dot. ``**`` stands for any depth of folders and, unlike
    `glob.glob`, doesn't go through links: two links that point to their own folder are a tree of
    2 to the 40th paths there.
    """
    drive, rest = os.path.splitdrive(pattern)
    root = drive + rest[: len(rest) - len(rest.lstrip(os.sep))]
    return _descend(root, [part for part in rest.split(os.sep) if part])


def _descend(folder: str, parts: list[str]) -> Iterator[str]:
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for below in _folders(folder):
            yield from _descend(below, rest or ["*"])
    elif has_wildcard(part):
        for name in _names(folder, part):
            yield from _descend(os.path.join(folder, name), rest)
    elif os.path.lexists(path := os.path.join(folder, part)):
        yield from _descend(path, rest)


def _names(folder: str, pattern: str) -> list[str]:
    wanted = re.compile(fnmatch.translate(pattern)).match
    hidden = pattern.startswith(".")
    return [name for name, _ in _scan(folder) if wanted(name) and hidden == name.startswith(".")]


def _folders(folder: str) -> Iterator[str]:
    yield folder
    for name, is_folder in _scan(folder):
        if is_folder and not name.startswith("."):
            yield from _folders(os.path.join(folder, name))


def _scan(folder: str) -> list[tuple[str, bool]]:
    """List the names of a folder, and which are folders and no links. As in a shell, what can't be
    read matches nothing."""
    try:
        with os.scandir(folder or os.curdir) as entries:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except OSError:
        return []
