"""Tracebacks as flat lists of the places where their frames were.

Nested, as they are, a thousand frames of a RecursionError couldn't be pickled. IPython finds the
line that it shows by counting from the first line of a frame's code, so that line travels too.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType, FrameType, TracebackType
from typing import Final, NamedTuple

__all__ = ["Spot", "flattened", "restored"]

_OF_A_MODULE: Final[tuple[str, ...]] = ("__name__", "__file__")


class Spot(NamedTuple):
    """Where a frame was when the exception passed."""

    filename: str
    function: str
    first: int
    line: int
    module: dict[str, str]


def flattened(trace: TracebackType | None) -> list[Spot]:
    """The frames of a traceback, outermost first, as what can be pickled."""
    found = []
    while trace is not None:
        code, names = trace.tb_frame.f_code, trace.tb_frame.f_globals
        module = {n: str(names[n]) for n in _OF_A_MODULE if n in names}
        line = trace.tb_lineno or code.co_firstlineno
        # A cell's own code begins where the cell does, whatever part of it was compiled.
        first = 1 if code.co_name == "<module>" else min(code.co_firstlineno, line)
        found.append(Spot(code.co_filename, code.co_name, first, line, module))
        trace = trace.tb_next
    return found


def restored(spots: Iterable[Spot]) -> TracebackType | None:
    """A traceback of these frames; None of none."""
    trace: TracebackType | None = None
    for spot in reversed(list(spots)):
        frame = _frame(spot)
        trace = TracebackType(trace, frame, frame.f_lasti, spot.line)
    return trace


def _frame(spot: Spot) -> FrameType:
    """Only code that ran has a frame: run some that raises at the same place."""
    try:
        exec(_raising(spot), dict(spot.module))
    except LookupError as error:
        inner = error.__traceback__ and error.__traceback__.tb_next
        assert inner is not None
        return inner.tb_frame
    raise AssertionError("it raises")


def _raising(spot: Spot) -> CodeType:
    source = "\n" * (spot.line - spot.first) + "raise LookupError"
    code = compile(source, spot.filename, "exec", dont_inherit=True)
    return code.replace(co_name=spot.function, co_firstlineno=spot.first)
