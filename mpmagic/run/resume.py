"""Cells that go on where an earlier run of them ended: ``--resume``.

The logs of chunks are kept in a file as they come. When the same cell runs again, the kernel takes
those that are there instead of sending their iterations once more, and does all commits anew. A
log is taken only for what it was made of: the same work, the same captured values, the same items,
the same state that ran ahead.
"""

from __future__ import annotations

import json
import platform
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mpmagic.run.admission import Admitted
from mpmagic.run.context import CellContext
from mpmagic.run.drawn import Drawn
from mpmagic.run.keeping import Kind, LogFile
from mpmagic.run.lasting import Lasting, lasting
from mpmagic.run.log import RECORD, WARN, Chunk, Log
from mpmagic.run.packed import Packed

__all__ = ["Former", "KeptCell", "KeptLoop"]

_LENGTH: Final = 4
"""Bytes that say how long the description of a chunk is, which stands before its log."""


@dataclass(frozen=True, slots=True)
class _Chunk:
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
class _Loop:
    """A run of a loop, in the file."""

    number: int
    key: str
    names: dict[str, str]
    classes: tuple[str, ...]
    nans: int
    filename: str
    chunks: dict[int, _Chunk] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Former:
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


class KeptCell:
    """What is kept of a cell, and what was kept of its earlier runs.

    Parameters
    ----------
    path
        The file.
    cell
        The cell.

    Raises
    ------
    NotParallel
        If the file can't be used.
    """

    def __init__(self, path: Path, cell: CellContext) -> None:
        self._cell = cell
        self._file = LogFile(path)
        self._loops: list[_Loop] = []
        self._begun = 0
        key = _key_of_cell(cell)
        records = self._file.records()
        first = next(records, None)
        if first is not None and (first.kind, first.content) == (Kind.CELL, key):
            for record in records:
                self._take(record.kind, record.content, record.at)
            return
        if first is not None:
            self._say("the cell isn't the one whose iterations the file holds: it begins anew")
        self._file.begin()
        self._file.add(Kind.CELL, key)

    def _say(self, what: str) -> None:
        self._cell.report.told_of_resuming.append(what)

    def _take(self, kind: Kind, content: bytes, at: int) -> None:
        if kind is Kind.LOOP:
            told = json.loads(content)
            self._loops.append(_Loop(**{**told, "classes": tuple(told["classes"])}))
        elif kind is Kind.CHUNK:
            length = int.from_bytes(content[:_LENGTH], "little")
            told = json.loads(content[_LENGTH : _LENGTH + length])
            first = told.pop("first")
            plain: dict[str, Any] = {
                n: tuple(v) if isinstance(v, list) else v for n, v in told.items()
            }
            chunk = _Chunk(**plain, at=at + _LENGTH + length)
            self._loops[chunk.loop].chunks[first] = chunk

    def loop(self, admitted: Admitted, private: tuple[str, ...], nans: Any) -> KeptLoop | None:
        """What is kept of a loop that begins; None if nothing can be.

        Parameters
        ----------
        admitted
            The loop.
        private
            Names that the work binds in the notebook, in the order of snapshots.
        nans
            The NaNs that have got numbers in this run of it.
        """
        number, line, namespace = self._begun, admitted.split.line, self._cell.namespace
        self._begun += 1
        values = admitted.captured.values
        try:
            made_of = [lasting(part, namespace).digest for part in _made_of(admitted, private)]
            whole = lasting((made_of, values), namespace)
            names = {n: lasting(v, namespace).digest.hex() for n, v in values.items()}
        except Exception as error:  # whatever a class's own pickling raises
            self._say(f"of the loop in line {line} nothing is kept: {error}")
            return None
        now = _Loop(number, whole.digest.hex(), names, whole.classes, nans.run, self._cell.filename)
        former = [loop for loop in self._loops if loop.number == number]
        same = [loop for loop in former if loop.key == now.key]
        if former and not same:
            self._say(_what_changed(line, former[-1], now))
        self._file.add(Kind.LOOP, json.dumps(_described(now)).encode())
        self._loops.append(now)
        for loop in same:
            nans.follow(loop.nans)
        return KeptLoop(self._file, len(self._loops) - 1, self._loops, same, namespace)

    def finish(self) -> None:
        """The cell has come to its end: nothing is left to go on with."""
        self._tell_of_failure()
        self._file.remove()

    def leave(self) -> None:
        """The cell was ended: what is there is for the next time."""
        self._tell_of_failure()
        self._say(f"what was finished is kept in {self._file.path}: run the cell again to go on")
        self._file.close()

    def _tell_of_failure(self) -> None:
        if self._file.failure:
            self._say(f"{self._file.path} could take no more: {self._file.failure}")


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
    namespace
        The notebook's.
    """

    def __init__(
        self,
        file: LogFile,
        place: int,
        loops: list[_Loop],
        former: list[_Loop],
        namespace: dict[str, Any],
    ) -> None:
        self._file, self._place, self._loops = file, place, loops
        self._namespace = namespace
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
            return lasting((told, items), self._namespace)
        except Exception:  # whatever an item's own pickling raises: this chunk isn't kept
            return None

    def found(self, first: int, key: Lasting | None) -> tuple[Packed, Former] | None:
        """The log of a chunk that was kept, and what its run was; None if it wasn't."""
        chunk = self._known.pop(first, None)
        if chunk is None or key is None or chunk.key != key.digest.hex():
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
        length = len(head).to_bytes(_LENGTH, "little")
        self._file.add(Kind.CHUNK, b"".join([length, head, packed.data, *views]))

    def renamed(self, log: Log, former: Former) -> None:
        """Let warnings and records of a kept log be this cell's."""
        before, now = former.filename, self._now.filename
        for i, event in enumerate(log.events):
            if event[0] == WARN and before in event:
                log.events[i] = tuple(now if part == before else part for part in event)
            elif event[0] == RECORD and getattr(event[2], "pathname", "") == before:
                event[2].pathname, event[2].filename = now, Path(now).name


def _described(loop: _Loop) -> dict[str, Any]:
    return {name: getattr(loop, name) for name in _Loop.__slots__ if name != "chunks"}


def _key_of_cell(cell: CellContext) -> bytes:
    """All of a cell that its iterations may depend on, but for what the loops read."""
    options = cell.options
    asked = options.ahead, options.seed, sorted(options.local), sorted(options.private)
    text = cell.text.partition("\n")[2] if cell.text.startswith("%%") else cell.text
    return json.dumps([_versions(), asked, text]).encode()


def _versions() -> list[str]:
    from importlib.metadata import version

    libraries = ("cloudpickle", "numpy", "pandas")
    loaded = [getattr(sys.modules.get(name), "__version__", "") for name in libraries]
    return [version("mpmagic"), platform.python_version(), *loaded]


def _made_of(admitted: Admitted, private: tuple[str, ...]) -> tuple[Any, ...]:
    """What a loop's logs are made of besides the captured values and the items."""
    split = admitted.split
    prepared = split.prepared
    return (
        split.work.code, private, sorted(split.certain), sorted(split.targets),
        sorted(split.fresh), sorted(prepared.names), prepared.carried,
        [draw.name for draw in prepared.draws], sorted(split.silent), split.speculates,
        [(s.name, s.kind.name) for s in split.slices], len(split.sites), admitted.modules,
        str(Path.cwd()),
    )  # fmt: skip


def _what_changed(line: int, before: _Loop, now: _Loop) -> str:
    both = before.names.keys() & now.names.keys()
    names = sorted(name for name in both if before.names[name] != now.names[name])
    if not names:
        return (
            f"the loop in line {line} begins anew: it is split otherwise now, or the modules that "
            f"it uses, or the folder, have changed"
        )
    told = " and ".join(f"`{name}`" for name in names)
    what = "isn't what it was" if len(names) == 1 else "aren't what they were"
    return f"the loop in line {line} begins anew: {told} {what}"
