"""The file of ``--resume``: logs of chunks, kept as they come, for a later run of the same cell.

It is a line that says what it is, then records: a kind, a length, a digest of the content, and the
content. They are only ever added to, so that whatever ends the kernel costs the last one at most.
What is in them is unpickled later, so the file has to be the user's own, and no one else's to
write.
"""

from __future__ import annotations

import enum
import fcntl
import os
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from mpmagic.errors import NotParallel

__all__ = ["Kind", "LogFile", "Record"]

_MAGIC: Final = b"mpmagic: finished iterations, version 1\n"
_HEAD: Final = struct.Struct("<BQ16s")
_NOTHING: Final = "Nothing of the cell ran."


class Kind(enum.IntEnum):
    """What a record holds."""

    CELL = 1
    LOOP = 2
    CHUNK = 3


class Record(NamedTuple):
    """Something in the file.

    Attributes
    ----------
    at
        Where its content begins, once it is there.
    """

    kind: Kind
    content: bytes
    at: int = 0


class LogFile:
    """A file of records, open for one cell.

    Parameters
    ----------
    path
        Where it is, or will be.

    Raises
    ------
    NotParallel
        If something else is there, if another cell has it open, or if others may write to it.

    Attributes
    ----------
    failure
        Why nothing more can be added, if so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure = ""
        self._lock = threading.Lock()
        self._fd: int | None = _opened(path)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        fd = self._number
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise self._refusal("is no regular file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise self._refusal(
                "may be written by other users, and what it holds is unpickled. Name another file, "
                "or take their right to write away"
            )
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refusal("is in use by another cell") from None
        except OSError as error:  # some network file systems
            raise self._refusal(f"can't be locked: {error.strerror}") from error
        begin = os.pread(fd, len(_MAGIC), 0)
        if begin and not _MAGIC.startswith(begin):
            raise self._refusal("holds something else than finished iterations. Name another file")

    @property
    def _number(self) -> int:
        assert self._fd is not None
        return self._fd

    def _refusal(self, what: str) -> NotParallel:
        return NotParallel(f"`--resume {self.path}`: the file {what}. {_NOTHING}")

    def records(self) -> Iterator[Record]:
        """What is in it, in order; what was cut short when its kernel ended is cut off."""
        fd, size = self._number, os.fstat(self._number).st_size
        at = len(_MAGIC)
        while at + _HEAD.size <= size:
            kind, length, digest = _HEAD.unpack(os.pread(fd, _HEAD.size, at))
            if at + _HEAD.size + length > size:
                break
            content = _read(fd, length, at + _HEAD.size)
            if _digest(content) != digest or kind not in Kind.__members__.values():
                break
            yield Record(Kind(kind), content, at + _HEAD.size)
            at += _HEAD.size + length
        if size > at:
            os.ftruncate(fd, at)

    def begin(self) -> None:
        """Forget what is in it."""
        os.ftruncate(self._number, 0)
        _write(self._number, _MAGIC)

    def read(self, at: int, length: int) -> bytes:
        """A part of a record's content."""
        return _read(self._number, length, at)

    def add(self, kind: Kind, content: bytes) -> None:
        """Add a record, from any thread; nothing if the file is closed already, or the disk full.

        In `failure` it says then why.
        """
        head = _HEAD.pack(kind, len(content), _digest(content))
        with self._lock:
            if self._fd is None or self.failure:
                return
            end = os.lseek(self._fd, 0, os.SEEK_END)
            try:
                _write(self._fd, head)
                _write(self._fd, content)
            except OSError as error:
                self.failure = error.strerror or str(error)
                os.ftruncate(self._fd, end)

    def remove(self) -> None:
        """Remove it: the cell has come to its end."""
        with self._lock:
            if self._fd is not None:
                self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let others have it."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise NotParallel(
            f"`--resume {path}`: {error.strerror or error}. Name a file in a folder that you may "
            f"write to. {_NOTHING}"
        ) from error


def _read(fd: int, length: int, at: int) -> bytes:
    parts: list[bytes] = []
    while length and (part := os.pread(fd, min(length, 1 << 30), at)):
        parts.append(part)
        length, at = length - len(part), at + len(part)
    return b"".join(parts)


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:  # what is large, or a full disk, takes several
        view = view[os.write(fd, view) :]


def _digest(content: bytes) -> bytes:
    import xxhash

    return xxhash.xxh3_128_digest(content)
