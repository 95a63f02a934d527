"""A loop of which logs are kept, and taken from what an earlier run has kept."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from mpmagic.run.drawn import Drawn
from mpmagic.run.identity import Places
from mpmagic.run.keeping import Kind, LogFile
from mpmagic.run.lasting import Lasting, lasting
from mpmagic.run.log import RECORD, WARN, Chunk, Log
from mpmagic.run.nans import Nans
from mpmagic.run.packed import Packed
from mpmagic.run.surroundings import user_sources

__all__ = ["LENGTH", "Former", "KeptChunk", "KeptLoop", "LoopRecord", "Seen"]

LENGTH: Final = 4
"""Bytes that say how long the description of a chunk is, which stands before its log."""


@dataclass(frozen=True, slots=True)
class KeptChunk:
    """A chunk in the file.

    Attributes
    ----------
    loop
        Of the run of a loop that it belongs to, the number of its record.
    count
        How many iterations.
    key
        The digest of what it was made of.
    classes
        Identifiers of the notebook's classes among its items.
    refers, writable, sizes
        Of its log: what it is, packed.
    at
        Where its log begins.
    """

    loop: int
    count: int
    key: str
    classes: tuple[str, ...]
    refers: bool
    writable: tuple[bool, ...]
    sizes: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class LoopRecord:
    """A run of a loop, in the file."""

    number: int
    key: str
    names: dict[str, str]
    classes: tuple[str, ...]
    nans: int
    filename: str
    chunks: dict[int, KeptChunk] = field(default_factory=dict)


class Seen(NamedTuple):
    """How the items of a loop are seen, in any kernel.

    Attributes
    ----------
    namespace, nans
        The notebook's, and the NaNs that have numbers.
    places
        Those of captured values: that an item is part of one counts.
    say, line
        Tells the user something of the loop, which begins there.
    """

    namespace: dict[str, Any]
    nans: Nans
    places: Places
    say: Callable[[str], None]
    line: int

    def key(self, value: Any) -> Lasting:
        """The digest of a value, with the sources of the user's modules that it has to do with."""
        places = self.places if self.places.may_be_in([value]) else None
        seen = lasting(value, self.namespace, nans=self.nans, places=places)
        sources = user_sources(seen.modules)
        if not sources:
            return seen
        whole = lasting((seen.digest, sorted(sources.items())), {})
        return seen._replace(digest=whole.digest)


class Former(NamedTuple):
    """A run of the cell that has kept a log.

    Attributes
    ----------
    filename
        The cell's file name then.
    classes
        Identifiers of the notebook's classes then, and those of now.
    """

    filename: str
    classes: dict[str, str]


class KeptLoop:
    """What is kept of a loop while it runs.

    Parameters
    ----------
    file
        The file.
    place
        Of this run, the number of its record.
    loops
        All runs of loops in the file.
    former
        Those of this loop, made of the same.
    seen
        How its items are seen.
    """

    def __init__(
        self,
        file: LogFile,
        place: int,
        loops: list[LoopRecord],
        former: list[LoopRecord],
        seen: Seen,
    ) -> None:
        self._file, self._place, self._loops = file, place, loops
        self._seen, self._has_told = seen, False
        self._known = {first: chunk for loop in former for first, chunk in loop.chunks.items()}
        self._firsts = sorted(self._known)
        self._now = loops[place]

    def size(self, first: int, size: int) -> int:
        """How many items to pull for a chunk that begins there: as many as a kept one has."""
        if first in self._known:
            return self._known[first].count
        place = bisect_right(self._firsts, first)
        return min(size, self._firsts[place] - first) if place < len(self._firsts) else size

    def key(self, chunk: Chunk, items: Iterable[Any], drawn: Drawn | None) -> Lasting | None:
        """The digest of all that a chunk is made of; None if there is none."""
        states, rows = (drawn.states, drawn.rows[: chunk.count]) if drawn else (None, None)
        told = chunk.first, chunk.count, chunk.last, states, rows
        try:
            return self._seen.key((told, items))
        except Exception:  # whatever an item's own pickling raises: this chunk isn't kept
            return None

    def found(self, first: int, key: Lasting | None) -> tuple[Packed, Former] | None:
        """The log of a chunk that was kept, and what its run was; None if it wasn't."""
        chunk = self._known.pop(first, None)
        if chunk is None:
            return None
        if key is None or chunk.key != key.digest.hex():
            self._tell_of_others(first)
            return None
        loop = self._loops[chunk.loop]
        classes = dict(zip(loop.classes, self._now.classes, strict=True))
        classes |= zip(chunk.classes, key.classes, strict=True)
        classes = {before: now for before, now in classes.items() if before != now}
        parts, at = [], chunk.at
        for size in chunk.sizes:
            parts.append(self._file.read(at, size))
            at += size
        pairs = zip(parts[1:], chunk.writable, strict=True)
        buffers = tuple(bytearray(part) if writable else part for part, writable in pairs)
        return Packed(parts[0], buffers, refers=chunk.refers), Former(loop.filename, classes)

    def _tell_of_others(self, first: int) -> None:
        if not self._has_told:
            self._has_told = True
            self._seen.say(
                f"from iteration {first} on, items of the loop in line {self._seen.line}, or what "
                f"was drawn for them, aren't what they were"
            )

    def keeps(self, first: int, count: int, key: Lasting | None) -> Callable[[Future[Any]], None]:
        """What keeps a chunk's log when it comes, if its work has come to its end."""

        def keep(future: Future[Any]) -> None:
            if key is None or future.cancelled() or future.exception() is not None:
                return
            packed = future.result()
            if isinstance(packed, Packed) and packed.finished:
                self._keep(first, count, key, packed)

        return keep

    def _keep(self, first: int, count: int, key: Lasting, packed: Packed) -> None:
        views = [memoryview(buffer).cast("B") for buffer in packed.buffers]
        told = {
            "first": first,
            "loop": self._place,
            "count": count,
            "key": key.digest.hex(),
            "classes": key.classes,
            "refers": packed.refers,
            "writable": [not view.readonly for view in views],
            "sizes": [len(packed.data), *(view.nbytes for view in views)],
        }
        head = json.dumps(told).encode()
        length = len(head).to_bytes(LENGTH, "little")
        self._file.add(Kind.CHUNK, b"".join([length, head, packed.data, *views]))

    def renamed(self, log: Log, former: Former) -> None:
        """Let warnings and records of a kept log be this cell's."""
        before, now = former.filename, self._now.filename
        for i, event in enumerate(log.events):
            if event[0] == WARN and before in event:
                log.events[i] = tuple(now if part == before else part for part in event)
            elif event[0] == RECORD and getattr(event[2], "pathname", "") == before:
                event[2].pathname, event[2].filename = now, Path(now).name
