"""The files in a directory and below it."""

# A Path per file would take longer than counting it.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mpmagic.count.ignoring import Ignores

__all__ = ["Selection", "walk"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a directory are meant.

    Attributes
    ----------
    recursive : bool
        Whether directories are counted at all.
    include : tuple of str
        Patterns of names, one of which a file has to match; all files if there is none.
    exclude : tuple of str
        Patterns of names of files and directories that are left out.
    skip_hidden : bool
        Leave out names that begin with a dot.
    gitignore : bool
        Leave out what the `.gitignore` files of the directory and below it name, and `.git`.
    """

    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    skip_hidden: bool = False
    gitignore: bool = False

    def admits(self, name: str, *, is_folder: bool) -> bool:
        """Whether a file is counted, or a folder entered, as far as its name tells."""
        if self.skip_hidden and name.startswith("."):
            return False
        if self.gitignore and name == ".git":
            return False
        if any(fnmatchcase(name, pattern) for pattern in self.exclude):
            return False
        if is_folder or not self.include:
            return True
        return any(fnmatchcase(name, pattern) for pattern in self.include)


def walk(
    folder: str, selection: Selection, outer: Ignores | None = None
) -> Iterator[str | OSError]:
    """Give the files of a tree, sorted, and the error for a folder that can't be read.

    Links and special files met on the way are left out, as `grep -r` does: a link could lead
    round in a circle, or count a file twice.
    """
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield error
        return
    ignores = Ignores(folder.rstrip(os.sep), outer) if selection.gitignore else None
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if not selection.admits(entry.name, is_folder=is_folder):
            continue
        path = os.path.join(folder, entry.name)
        if ignores is not None and ignores.ignores(path, is_folder=is_folder):
            continue
        if is_folder:
            yield from walk(path, selection, ignores)
        elif entry.is_file(follow_symlinks=False):
            yield path
