"""What a worker prints, with the order kept between Python's streams and descriptors 1 and 2.

Descriptors 1 and 2 are files in memory, opened for appending: nothing that a task or its children
write ever waits for a reader, so C code that floods standard output while it holds the GIL can't
deadlock with us. They are read before each piece of Python's own text is noted.
"""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from mpmagic.pool.lookout import WINDOW_BYTES, Lookout
from mpmagic.pool.message import Text
from mpmagic.pool.segment import new_file
from mpmagic.pool.words import Word, Words

__all__ = ["Capture", "Tail", "last_text", "new_output_file"]

_FLUSH_SECONDS = 0.1
_FLUSH_CHARACTERS = 1 << 16
_PUNCH_BYTES = 1 << 20
_READ_BYTES = 1 << 20


def new_output_file() -> int:
    """Make the file behind a worker's descriptor 1 or 2; give its descriptor."""
    fd = new_file(0)
    # Each write goes to the end, also those of children that inherited the descriptor.
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_RDWR | os.O_APPEND)
    os.write(fd, b"\n")  # for the lookout: of an empty file there is no page
    return fd


class Tail:
    """Reads what has been appended to such a file since the last look.

    Parameters
    ----------
    fd
        Of the file. Its offset is moved about: those who write to it append.
    start
        How much of it has been read, or isn't text: its first byte.
    """

    def __init__(self, fd: int, start: int = 1) -> None:
        self._fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._punched = start
        self.position = start

    def read(self) -> str:
        """Give the new text; half a character at the end waits for its other half."""
        end = os.lseek(self._fd, 0, os.SEEK_END)  # a third of what fstat takes
        if end <= self.position:
            return ""
        pieces = []
        while self.position < end:
            data = os.pread(self._fd, min(_READ_BYTES, end - self.position), self.position)
            if not data:
                break
            self.position += len(data)
            pieces.append(self._decoder.decode(data))
        self._free()
        return "".join(pieces)

    def _free(self) -> None:
        """Give the memory of what was read back; truncating would lose what is being written."""
        if self.position - self._punched < _PUNCH_BYTES:
            return
        length = self.position - self._punched
        if _punch_hole(self._fd, self._punched, length):
            self._punched = self.position


def last_text(fd: int, read: int) -> str:
    """Give what a process that is dead has left in such a file, behind what was read."""
    text = Tail(fd, read or 1).read()
    if os.lseek(fd, 0, os.SEEK_END) < WINDOW_BYTES:
        return text
    return text.rstrip("\0")  # killed while it made its lookout, which lengthens the file


class Capture:
    """Collects a worker's output.

    Parameters
    ----------
    words : Words
        Where it is noted how much of the descriptors has been read: the kernel reads the rest if
        this process dies.
    send : callable
        Takes text that shouldn't wait for the end of the task.
    """

    def __init__(self, words: Words, send: Callable[[Text], None]) -> None:
        self._words = words
        self._send = send
        # By descriptors of our own: a task may put other files behind 1 and 2 for a while.
        self._stdout, self._stderr = Tail(os.dup(1)), Tail(os.dup(2))
        self._out, self._err = Lookout(1), Lookout(2)
        self._look_behind()
        self._pieces: list[tuple[str, str]] = []
        self._length = 0
        self._sent_at = time.monotonic()
        self._is_ours = True
        self.is_live = True

    def install(self) -> None:
        """Put our streams where Python's were."""
        sys.stdin = sys.__stdin__ = open(os.devnull)  # type: ignore[misc] # noqa: SIM115
        for name, fd in (("stdout", 1), ("stderr", 2)):
            stream = _Stream(name, fd, self)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def step_aside(self) -> None:
        """Write straight to the descriptors from now on: this is a process that a task forked."""
        self._is_ours = False
        self._pieces.clear()  # the worker itself has them

    def write(self, stream: str, text: str) -> None:
        if not self._is_ours:
            os.write(1 if stream == "stdout" else 2, text.encode("utf-8", "replace"))
            return
        self._read_descriptors()
        self._note(stream, text)
        if self.is_live and (
            self._length > _FLUSH_CHARACTERS or time.monotonic() - self._sent_at > _FLUSH_SECONDS
        ):
            self._sent_at = time.monotonic()
            self._send(self.take())

    def start(self) -> None:
        """Begin with a new task: what it writes is shown while it runs, until it says otherwise."""
        self.is_live = True
        self._sent_at = time.monotonic()

    def may_have_text(self) -> bool:
        """Whether there may be something to take; costs a tenth of a microsecond."""
        out, err = self._out, self._err
        return bool(self._pieces or out.page[out.offset] or err.page[err.offset])

    def take(self) -> Text:
        """Give what there is and forget it."""
        self._read_descriptors()
        pieces, self._pieces = self._pieces, []
        self._length = 0
        return tuple(pieces)

    def _read_descriptors(self) -> None:
        for stream, tail, word in (
            ("stdout", self._stdout, Word.STDOUT_READ),
            ("stderr", self._stderr, Word.STDERR_READ),
        ):
            text = tail.read()
            if text:
                self._note(stream, text)
                self._words[word] = tail.position
        self._look_behind()

    def _look_behind(self) -> None:
        self._out.look_behind(self._stdout.position)
        self._err.look_behind(self._stderr.position)

    def _note(self, stream: str, text: str) -> None:
        self._length += len(text)
        if self._pieces and self._pieces[-1][0] == stream and len(self._pieces[-1][1]) < 4096:
            text = self._pieces.pop()[1] + text
        self._pieces.append((stream, text))


class _Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of a worker."""

    def __init__(self, name: str, fd: int, capture: Capture) -> None:
        self._name = name
        self._capture = capture
        self._fd = fd
        self.buffer = io.FileIO(fd, "wb", closefd=False)

    encoding = "utf-8"
    errors = "replace"

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._capture.write(self._name, text)
        return len(text)

    def reconfigure(self, **_: Any) -> None:
        """Accept what TextIOWrapper accepts; there is no encoding to change."""

    def close(self) -> None:
        """Stay open: the next task prints here too."""


def _punch_hole(fd: int, offset: int, length: int) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    mode = 0x1 | 0x2  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
    fallocate = ctypes.CDLL(None).fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(fallocate(fd, mode, offset, length) == 0)
