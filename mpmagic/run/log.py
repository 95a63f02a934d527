"""What a chunk returns: everything that the kernel needs to commit its iterations in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from mpmagic.run.observer import UNTIMED, Timing
from mpmagic.run.packed import Packed
from mpmagic.run.sampling import Samples

__all__ = ["FILTERED", "LEVELS", "LOST", "PIECE", "RAISE", "RECORD", "SHOWN", "SIGNALS", "TEXT",
           "UNBOUND", "UNSENDABLE", "WARN", "Chunk", "Given", "Log", "Lost"]  # fmt: skip

TEXT: Final = -3
"""The event of text that the work wrote: its stream's name, and the pieces."""

RAISE: Final = -4
"""The event of an exception of the work, with which the log ends."""

UNSENDABLE: Final = -5
"""The event of a commit whose operand can't be pickled: site, operand, type and reason."""


WARN: Final = -6
"""The event of a warning: the warning, its class, file name and line."""

RECORD: Final = -7
"""The event of a record of `logging`: its logger's name, the record, whether it was shown."""

FILTERED: Final = -8
"""The event of a change of the warnings' filters: what was shown once may be shown again."""

SIGNALS: Final = -10
"""The event of decimal arithmetic's signals, at the head of a log: their classes."""


LEVELS: Final = -13
"""The event of levels of loggers, at the head of a log: the one that is disabled, and others."""

SHOWN: Final = -12
"""The event of something displayed: what the kernel has to do, see `mpmagic.run.shown`."""

PIECE: Final = -9
"""The event of a piece that begins to run ahead; what follows is cut from the log with it."""


class Lost:
    """The place of a value that stayed in the worker."""

    __slots__ = ()
    _instance: Lost | None = None

    def __new__(cls) -> Lost:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __reduce__(self) -> tuple[Any, ...]:
        return Lost, ()


class _Unbound(Lost):
    __slots__ = ()
    _instance: Lost | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Unbound, ()


LOST: Final = Lost()
UNBOUND: Final = _Unbound()


@dataclass(frozen=True, slots=True)
class Given:
    """What the kernel has run ahead for a chunk.

    Attributes
    ----------
    states
        The values of the carried names where an iteration begins: of the first one, from which
        the worker goes on by itself, or of each.
    count
        How many iterations may begin.
    packed
        Such states and, for each iteration, the values of its draws; None if neither draws nor
        NaNs are among them.
    """

    states: list[tuple[Any, ...]]
    count: int
    packed: Packed | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive iterations for a worker.

    Attributes
    ----------
    first
        The index of its first iteration.
    items
        The packed items, a range, or a stretch of a file.
    count
        How many they are.
    last
        Whether no iteration follows.
    check
        Whether what was captured must be compared with what was sent.
    mutable
        Whether the items, too.
    given
        What the kernel has run ahead for it, if anything runs ahead.
    clocked
        Whether the time of its iteration is limited.
    run
        Which run of a loop it is of.
    """

    first: int
    items: Any
    count: int
    last: bool
    check: bool
    mutable: bool
    given: Given | None = None
    clocked: bool = False
    run: int = 0


@dataclass(slots=True)
class Log:
    """What happened in a chunk.

    Attributes
    ----------
    events
        In order: the begin of each iteration, commits with their operands, text, an exception.
    snapshots
        For each iteration the values of the private names at its end; `LOST` for large ones.
    finals
        Values of private names after the chunk, those that the kernel may need.
    lost_write
        What the work changed behind the kernel's back, in words.
    refused
        Why what it found can't be committed, whatever its own handlers made of that.
    left
        Figures that an exception has left open: pyplot's own, which the kernel has open then.
    timing
        When the worker did what.
    laps
        What each iteration took, in seconds, where that may tell more than their sum.
    samples
        Where the work spent its time, if that was wanted.
    """

    events: list[tuple[Any, ...]] = field(default_factory=list)
    snapshots: list[tuple[Any, ...]] = field(default_factory=list)
    finals: dict[str, Any] = field(default_factory=dict)
    lost_write: str = ""
    refused: str = ""
    left: list[Any] = field(default_factory=list)
    timing: Timing = UNTIMED
    laps: tuple[float, ...] = ()
    samples: Samples | None = None
