"""From what the user named to the files that are meant: globs, directories, missing names."""

# A Path per file would take longer than counting it.
# ruff: noqa: PTH111, PTH116

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mpmagic.count.globbing import has_wildcard, matching
from mpmagic.count.remote import is_remote, matching_urls
from mpmagic.count.tree import Selection, walk

__all__ = ["Paths", "Place", "expand", "explain"]

Named = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Paths = Named | Iterable[Named]
_ELSEWHERE = 0
_CONTENT = (bytes, bytearray, memoryview)
_DIRECTORY = "a directory (count what is in it with -r)"


@dataclass(frozen=True, slots=True)
class Place:
    """A file to be counted, or the reason why it can't be.

    Attributes
    ----------
    path : str
        The file, as the user named it or as the glob or the directory gave it.
    size : int
        Its size in bytes when the count began.
    mode : int
        Its type and permissions, as `os.stat` gives them.
    device : int
        The device that it is, if it is one.
    error : OSError or None
        Why there is nothing to count.
    source : bytes or binary file, optional
        The content itself, if it isn't to be found under a name.
    """

    path: str
    size: int = 0
    mode: int = stat.S_IFREG
    device: int = 0
    error: OSError | None = None
    source: Any = None

    @property
    def is_pipe(self) -> bool:
        """Whether it is a named pipe."""
        return stat.S_ISFIFO(self.mode)

    @property
    def is_stream(self) -> bool:
        """Whether it can only be read from its beginning to its end."""
        return self.error is None and (self.is_pipe or self.mode == _ELSEWHERE)


def expand(paths: Paths, selection: Selection | None = None) -> list[Place]:
    """Find the files that `paths` means, each once, in the order named.

    A str may be a glob, unless a file of that very name exists; a Path never is.
    """
    selection = selection or Selection()
    found: dict[str, Place] = {}
    for number, named in enumerate(_several(paths)):
        if isinstance(named, str | os.PathLike):
            for place in _meant(named, selection):
                found.setdefault(place.path, place)
        else:
            place = _content(named, number)
            found[place.path] = place
    return list(found.values())


def explain(error: OSError) -> str:
    """Say in a few words why a file wasn't counted."""
    if isinstance(error, FileNotFoundError):  # remote ones come without a number
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return _DIRECTORY
    return (error.strerror or str(error)).lower()


def _several(paths: Paths) -> Iterable[Any]:
    alone = isinstance(paths, (str, os.PathLike, *_CONTENT)) or hasattr(paths, "read")
    return [paths] if alone else paths  # type: ignore[return-value]


def _content(named: Any, number: int) -> Place:
    if isinstance(named, _CONTENT):
        return Place(f"<bytes {number}>", mode=_ELSEWHERE, source=named)
    if hasattr(named, "read"):
        name = getattr(named, "name", None) or f"file {number}"
        return Place(f"<{str(name).strip('<>')}>", mode=_ELSEWHERE, source=named)
    kind = type(named).__name__
    raise TypeError(f"to be counted: a str, a Path, bytes or an open file, not {kind}: {named!r}")


def _meant(named: str | os.PathLike[str], selection: Selection) -> Iterator[Place]:
    path = os.fspath(named)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(named, Path):
        if is_remote(path):
            yield from _remote(path)
            return
        path = os.path.expanduser(path) if path.startswith("~") else path
        if has_wildcard(path) and not os.path.lexists(path):
            yield from _matching(path, selection)
            return
    yield from _within(_look(path), selection)


def _matching(pattern: str, selection: Selection) -> Iterator[Place]:
    """Look up a glob. Wildcards mean files: a directory among the matches has no lines itself."""
    nothing = True
    for path in matching(pattern):
        place = _look(path)
        if selection.recursive or not stat.S_ISDIR(place.mode):
            nothing = False
            yield from _within(place, selection)
    if nothing:
        yield Place(pattern, error=FileNotFoundError(errno.ENOENT, "no file matches", pattern))


def _remote(url: str) -> Iterator[Place]:
    for found in matching_urls(url):
        if isinstance(found, OSError):
            yield Place(url, error=found)
        else:
            yield Place(found, mode=_ELSEWHERE)


def _within(place: Place, selection: Selection) -> Iterator[Place]:
    if not stat.S_ISDIR(place.mode):
        yield place
    elif selection.recursive:
        yield from _below(place.path, selection)
    else:
        error = IsADirectoryError(errno.EISDIR, _DIRECTORY, place.path)
        yield Place(place.path, mode=place.mode, error=error)


def _below(folder: str, selection: Selection) -> Iterator[Place]:
    for found in walk(folder, selection):
        if isinstance(found, OSError):
            yield Place(found.filename or folder, error=found)
        else:
            yield _look(found)


def _look(path: str) -> Place:
    try:
        seen = os.stat(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError):  # a NUL in the name
            error = OSError(errno.EINVAL, "a name with a NUL", path)
        return Place(path, error=error)
    return Place(path, seen.st_size, seen.st_mode, seen.st_rdev)
