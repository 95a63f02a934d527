"""NaNs, which are found by their identity: ``np.nan in values`` is true of the very object alone.

A copy of one would be another value to ``in``, ``index``, ``is`` and the equality of lists. So
those of `math` and `numpy` stay what they are on both sides, and the kernel gives a number to each
other one that it sends, under which both sides know it.
"""

from __future__ import annotations

import importlib
import math
import random
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["NAN", "Nans", "are_in", "is_number"]

NAN: Final = ".nan"
"""What the token of one begins with: no name does."""

_PICKLED: Final = (b"G" + struct.pack(">d", math.nan), b"G" + struct.pack(">d", -math.nan))
_MOST: Final = 100_000
"""NaNs that get a number: it costs a few hundred bytes while the loop runs."""

_BITS: Final = 17
"""Of a number those that count the NaNs; the others say which run of a loop gave it."""

_RUNS: Final = 4
"""Runs whose NaNs a worker keeps: a program stays there, and may run for several at once."""

Token = tuple[str, Any, bytes]


def are_in(pickled: bytes) -> bool:
    """Whether a pickle may hold a float that is NaN: no pickler asks anybody about floats."""
    return any(code in pickled for code in _PICKLED)


def is_number(value: Any) -> bool:
    """Whether a value is a number or a time of numpy's, or a complex one: those may be NaN too."""
    kind = type(value)
    if kind.__module__ != "numpy":
        return kind is complex
    numpy = sys.modules["numpy"]
    return issubclass(kind, numpy.number | numpy.datetime64 | numpy.bool_)


class Nans:
    """The NaNs that two sides know.

    Parameters
    ----------
    numbering
        Whether those that are met get numbers: the kernel's side gives them.
    """

    def __init__(self, *, numbering: bool = True) -> None:
        self._numbering = numbering
        self._numbers: dict[int, int] = {}
        self._known: dict[int, Any] = {}
        self._run = 0
        self._runs: list[int] = []
        self._former: set[int] = set()

    @classmethod
    def of_run(cls) -> Nans:
        """Those of one run of a loop: they get other numbers than another run's."""
        made = cls()
        made._run = random.SystemRandom().getrandbits(60)
        return made

    @property
    def run(self) -> int:
        """Which run of a loop gives the numbers."""
        return self._run

    def place(self, value: Any) -> int:
        """Which of the NaNs of this run it is, in the order in which they were met; -1 if none."""
        number = self._numbers.get(id(value))
        return -1 if number is None else number & ((1 << _BITS) - 1)

    def follow(self, former: int) -> None:
        """Take the numbers of a former run, which met the same NaNs in the same order."""
        self._former.add(former)

    def _here(self, number: int) -> int:
        own = number >> _BITS in self._former
        return self._run << _BITS | number & ((1 << _BITS) - 1) if own else number

    @contextmanager
    def of_program(self) -> Iterator[None]:
        """While open, numbers are those that any run of the same program would give."""
        run, self._run = self._run, 0
        try:
            yield
        finally:
            self._run = run

    def number(self, value: Any) -> int | None:
        """The number of a NaN; None for one of this side alone."""
        number = self._numbers.get(id(value))
        if number is None and self._numbering and len(self._known) < _MOST:
            number = self._run << _BITS | len(self._known)
            self.keep(number, value)
        return number

    def known(self, number: int) -> Any:
        """This side's own NaN of a number; None if it hasn't got one."""
        return self._known.get(self._here(number))

    def keep(self, number: int, value: Any) -> None:
        """Know a NaN by a number from now on."""
        number = self._here(number)
        run = number >> _BITS
        if run and run not in self._runs:
            self._runs.append(run)
            if len(self._runs) > _RUNS and not self._numbering:
                self._forget(self._runs.pop(0))
        self._known[number] = value
        self._numbers[id(value)] = number

    def _forget(self, run: int) -> None:
        for number in [number for number in self._known if number >> _BITS == run]:
            self._numbers.pop(id(self._known.pop(number)), None)

    def token(self, value: float, own: dict[int, tuple[int, float]]) -> Token:
        """What travels for a float; `own` are those that this pickle holds and no other knows."""
        bits = struct.pack(">d", value)
        for name in ("math", "numpy"):
            if value is getattr(sys.modules.get(name), "nan", None):
                return NAN, name, bits
        number = self.number(value)
        if number is None:
            number = own.setdefault(id(value), (~len(own), value))[0]
        return NAN, number, bits

    def found(self, token: Token, own: dict[int, float]) -> float:
        """The float of a token; `own` are those of this pickle."""
        _, number, bits = token
        if isinstance(number, str):
            # A worker may have had no use for numpy yet.
            named: float = importlib.import_module(number).nan
            return named
        kept: float | None = own.get(number) if number < 0 else self.known(number)
        if kept is not None:
            return kept
        (value,) = struct.unpack(">d", bits)
        if number < 0:
            own[number] = value
        else:
            self.keep(number, value)
        return float(value)
