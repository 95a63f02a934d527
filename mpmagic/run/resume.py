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
from pathlib import Path
from typing import Any

from mpmagic.run.admission import Admitted, told_apart
from mpmagic.run.context import CellContext
from mpmagic.run.identity import Places
from mpmagic.run.keeping import Kind, LogFile
from mpmagic.run.keptloop import LENGTH, KeptChunk, KeptLoop, LoopRecord, Seen
from mpmagic.run.lasting import lasting
from mpmagic.run.nans import Nans
from mpmagic.run.surroundings import surroundings

__all__ = ["KeptCell"]


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
        self._loops: list[LoopRecord] = []
        self._begun = 0
        self._file = LogFile(path)
        try:
            self._read(_key_of_cell(cell))
        except BaseException:  # the next run shall find it free
            self._file.close()
            raise

    def _read(self, key: bytes) -> None:
        """Take what is there of the same cell."""
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
            self._loops.append(LoopRecord(**{**told, "classes": tuple(told["classes"])}))
        elif kind is Kind.CHUNK:
            length = int.from_bytes(content[:LENGTH], "little")
            told = json.loads(content[LENGTH : LENGTH + length])
            first = told.pop("first")
            plain: dict[str, Any] = {
                n: tuple(v) if isinstance(v, list) else v for n, v in told.items()
            }
            chunk = KeptChunk(**plain, at=at + LENGTH + length)
            self._loops[chunk.loop].chunks[first] = chunk

    def loop(self, admitted: Admitted, private: tuple[str, ...], nans: Nans) -> KeptLoop | None:
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
        captured = admitted.captured
        if left := self._cell.lacking(captured.names):
            self._say(
                f"of the loop in line {line} nothing is kept: it reads `{left[0]}`, which a cell "
                f"of --each has left in the workers"
            )
            return None
        try:
            made_of = [lasting(part, namespace).digest for part in _made_of(admitted, private)]
            names = {
                f"`{n}`": lasting(v, namespace, nans=nans).digest.hex()
                for n, v in captured.values.items()
            }
            codes = (admitted.split.work.code, *(f.__code__ for f in captured.functions))
            names |= surroundings(codes, namespace)
            whole = lasting((made_of, captured.values, sorted(names.items())), namespace, nans=nans)
        except Exception as error:  # whatever a class's own pickling raises
            self._say(f"of the loop in line {line} nothing is kept: {error}")
            return None
        now = LoopRecord(
            number, whole.digest.hex(), names, whole.classes, nans.run, self._cell.filename
        )
        former = [loop for loop in self._loops if loop.number == number]
        same = [loop for loop in former if loop.key == now.key]
        if former and not same:
            self._say(_what_changed(line, former[-1], now))
        self._file.add(Kind.LOOP, json.dumps(_described(now)).encode())
        self._loops.append(now)
        for loop in same:
            nans.follow(loop.nans)
        places = Places(told_apart(admitted.split, captured))
        seen = Seen(namespace, nans, places, self._say, line)
        return KeptLoop(self._file, len(self._loops) - 1, self._loops, same, seen)

    def finish(self) -> None:
        """The cell has come to its end: nothing is left to go on with."""
        self._tell_of_failure()
        self._file.remove()

    def leave(self) -> None:
        """The cell was ended: what is there is for the next time."""
        self._tell_of_failure()
        self._say(f"what was finished is kept in {self._file.path}: run the cell again to go on")

    def close(self) -> None:
        """Let others have the file."""
        self._file.close()

    def _tell_of_failure(self) -> None:
        if self._file.failure:
            self._say(f"{self._file.path} could take no more: {self._file.failure}")


def _described(loop: LoopRecord) -> dict[str, Any]:
    return {name: getattr(loop, name) for name in LoopRecord.__slots__ if name != "chunks"}


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
    )  # fmt: skip


def _what_changed(line: int, before: LoopRecord, now: LoopRecord) -> str:
    both = before.names.keys() & now.names.keys()
    # Of variables and modules one that is new, or gone, counts too.
    other = {n for n in before.names.keys() ^ now.names.keys() if not n.startswith("`")}
    names = sorted(other | {n for n in both if before.names[n] != now.names[n]})
    if not names:
        return (
            f"the loop in line {line} begins anew: it is split otherwise now, or of the values "
            f"that it reads others are one object"
        )
    told = " and ".join(names)
    what = "isn't what it was" if len(names) == 1 else "aren't what they were"
    return f"the loop in line {line} begins anew: {told} {what}"
