"""What a worker does for a loop that only counts: a stretch of its items, summed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from mpmagic.pool import Parcel
from mpmagic.run.codec import Encoder
from mpmagic.run.filerange import FileRange
from mpmagic.run.observer import UNTIMED, Timing
from mpmagic.run.placeholder import Placeholder
from mpmagic.run.program import Program, load_program
from mpmagic.run.tenancy import worker_number
from mpmagic.run.watch import is_inert

__all__ = ["Sums", "run_tally"]

_KEYS: Final = (str, bytes, int, bool, type(None))


@dataclass(slots=True)
class Sums:
    """What a stretch adds.

    Attributes
    ----------
    iterations
        How many items there were.
    counters
        By name: what is to be added, in the order in which the keys came.
    numbers
        By name: the same for integers.
    finals
        What the work has bound in the end.
    timing
        When the worker did what.
    """

    iterations: int
    counters: dict[str, dict[Any, int]]
    numbers: dict[str, int]
    finals: dict[str, Any] = field(default_factory=dict)
    timing: Timing = UNTIMED


def run_tally(source: Parcel, captured: Parcel, part: FileRange) -> Sums | None:
    """Sum up a stretch; None if the sums wouldn't be the same as one addition after the other.

    Parameters
    ----------
    source, captured
        The program's parcels.
    part
        The items.
    """
    entered = perf_counter()
    program = load_program(source, captured)
    program.enter()
    start = perf_counter()
    try:
        sums = _summed(program, part)
    except Exception:
        return None  # the ordinary way meets it again, and in its place
    sums.timing = Timing(worker_number(), entered, start, perf_counter())
    return sums if _exact(sums) else None


def _summed(program: Program, part: FileRange) -> Sums:
    source = program.source
    assert program.tally is not None
    lines, count = part.read()
    counters: list[defaultdict[Any, int]] = [defaultdict(int) for _ in source.counters]
    bound = program.tally(lines, *counters, *(0 for _ in source.sums), locals)
    own = bound.keys() & (set(source.private) | source.targets)
    return Sums(
        count,
        dict(zip(source.counters, map(dict, counters), strict=True)),
        {name: bound[name] for name in source.sums},
        {name: _travelling(bound[name], name, program) for name in own},
    )


def _travelling(value: Any, name: str, program: Program) -> Any:
    if is_inert(value):
        return value
    try:
        Encoder(program.side, by_reference=True).encode(value)
    except Exception:
        return Placeholder(name, type(value).__name__)
    return value


def _exact(sums: Sums) -> bool:
    """Whether the additions were of integers, and the keys such that order and hash are theirs."""
    numbers = [sums.numbers, *sums.counters.values()]
    return all(type(n) is int for found in numbers for n in found.values()) and all(
        _is_plain(key) for found in sums.counters.values() for key in found
    )


def _is_plain(key: Any) -> bool:
    return type(key) in _KEYS or (type(key) is tuple and all(map(_is_plain, key)))
