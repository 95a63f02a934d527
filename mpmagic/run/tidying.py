"""Tracebacks as the cell without the magic would have them: without frames of ours.

The kernel's half of a loop runs in a frame of its own, and the worker's half in another process.
Both stand for the frame of the cell that the loop is part of:

::

    cell, line 3            cell, line 4      where the work was
      LoopRun.run    --->     f, line 38
        work, line 4
          f, line 38
"""

from __future__ import annotations

import contextlib
import inspect
from types import FrameType, TracebackType
from typing import Final

from mpmagic.cell.vocabulary import ITEM
from mpmagic.pool.traces import Shape, restored, spot_of
from mpmagic.run.origins import chained

__all__ = ["calls_back", "is_ours", "tidied", "tidy", "without_ours"]

_OURS: Final = "mpmagic"
_ON_THE_WAY: Final = frozenset({"cloudpickle", "concurrent", "multiprocessing", "pickle"})
"""Packages that we call; their frames below ours are ours."""

_CALLING: Final = frozenset({"run_cell_magic", "run_line_magic"})
"""What of IPython's calls our magics."""

_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})


def tidy(error: BaseException) -> None:
    """Tidy the tracebacks of an exception and of all that it's chained to or made of."""
    for one in chained(error):
        before, one.__traceback__ = one.__traceback__, tidied(one.__traceback__)
        _empty([*_entries(before), *_entries(one.__traceback__)])
    # Frames that were made here have this one below them.
    del error, one, before


def tidied(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without our frames, of which those of the cell that are apart are joined."""
    kept: list[TracebackType] = []
    within, in_disguise = False, False
    for entry in _entries(tb):
        if _is_between(entry, within=within):
            within = True
            in_disguise |= _is_in_disguise(entry.tb_frame)
            continue
        if in_disguise and entry.tb_frame.f_code.co_name == "<module>":
            in_disguise = False  # the worker's place in a loop that the cell doesn't show
            continue
        if kept and _stands_for(entry, kept[-1], within=within):
            entry = _moved(kept.pop(), entry)
        kept.append(entry)
        within = False
    return _linked(kept)


def _empty(entries: list[TracebackType]) -> None:
    """Let frames of ours go of what they hold: they lead to the exception, which leads to them.

    Those that were made for it have ours below them, whose calls are over.
    """
    met: set[FrameType] = set()  # a recursion's frames have all the same below them
    for entry in entries:
        frame: FrameType | None = entry.tb_frame
        while frame is not None and frame not in met:
            met.add(frame)
            if is_ours(frame):
                with contextlib.suppress(RuntimeError):  # its call isn't over
                    frame.clear()
            frame = frame.f_back


def without_ours(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without our frames."""
    return _linked([entry for entry in _entries(tb) if not is_ours(entry.tb_frame)])


def calls_back(tb: TracebackType | None) -> bool:
    """Whether there is code that isn't ours below ours."""
    ours = [is_ours(entry.tb_frame) for entry in _entries(tb)]
    return True in ours and not all(ours[ours.index(True) :])


def is_ours(frame: FrameType) -> bool:
    """Whether it runs code of mpmagic's."""
    return _package(frame) == _OURS


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _entries(tb: TracebackType | None) -> list[TracebackType]:
    found = []
    while tb is not None:
        found.append(tb)
        tb = tb.tb_next
    return found


def _linked(entries: list[TracebackType]) -> TracebackType | None:
    tb: TracebackType | None = None
    for entry in reversed(entries):
        if entry.tb_next is not tb:
            entry = TracebackType(tb, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        tb = entry
    return tb


def _is_between(entry: TracebackType, *, within: bool) -> bool:
    """Whether a frame is ours, or leads to ours, or was called by us on the way to a worker."""
    frame, inner = entry.tb_frame, entry.tb_next
    if is_ours(frame) or _is_in_disguise(frame) or (within and _package(frame) in _ON_THE_WAY):
        return True
    is_magic = frame.f_code.co_name in _CALLING and _package(frame) == "IPython"
    return is_magic and inner is not None and is_ours(inner.tb_frame)


def _is_in_disguise(frame: FrameType) -> bool:
    """Whether it's a loop that the cell doesn't show."""
    code = frame.f_code
    return code.co_name == "<genexpr>" and any(n.startswith(ITEM) for n in code.co_varnames)


def _stands_for(inner: TracebackType, outer: TracebackType, *, within: bool) -> bool:
    """Whether the inner frame is code of the cell at the outer one's level."""
    codes = [inner.tb_frame.f_code, outer.tb_frame.f_code]
    if codes[0].co_name != "<module>" or codes[0].co_filename != codes[1].co_filename:
        return False
    if codes[1].co_name == "<module>":
        # Else the cell itself raises an exception again that was raised in it before.
        return within or bool(codes[1].co_flags & inspect.CO_OPTIMIZED)
    return within and codes[1].co_name in _COMPREHENSIONS


def _moved(outer: TracebackType, inner: TracebackType) -> TracebackType:
    """The outer frame as if it had been where the inner one was."""
    shape = Shape.of(outer.tb_frame.f_code)
    variables = dict(inner.tb_frame.f_locals) if shape.is_function else {}
    spot = spot_of(inner, variables)
    first = 1 if shape.name == "<module>" else shape.first
    spot = spot._replace(shape=shape._replace(first=first))
    moved = restored([spot], lambda _: outer.tb_frame.f_globals)
    assert moved is not None
    return moved
