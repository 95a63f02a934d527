"""Exceptions of the work on their way to the kernel.

Pickling an exception calls its class with its arguments, which fails for many classes that users
write. So it travels in parts and is put together without calling anything of the class's.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mpmagic.errors import RemoteError, UnsendableValue
from mpmagic.pool.context import explain_memory
from mpmagic.pool.traces import flattened, restored
from mpmagic.run.codec import Encoder, Packed, Side, decode

if TYPE_CHECKING:
    from mpmagic.run.program import Program

__all__ = ["pack_caught", "pack_failure", "unpack_failure"]

_DEPTH = 8
"""Exceptions of a chain that travel; more than a reader looks at."""


def pack_caught(error: BaseException, program: Program) -> tuple[Packed, int]:
    """The exception with its traceback from what the cell's code called, and the code's line.

    Raises
    ------
    UnsendableValue
        If it can't be sent as it is: handlers would take another one for it.
    """
    trace = _own_frames(error.__traceback__, program)
    parts = _parts(error, trace and trace.tb_next, _DEPTH)
    try:
        packed = Encoder(program.side, by_reference=True).encode(parts)
    except Exception as reason:
        raise UnsendableValue(
            f"an exception under `try`, a {type(error).__name__}, can't be sent to the notebook, "
            f"which handles it: {type(reason).__name__}: {reason}"
        ) from error
    return packed, trace.tb_lineno if trace is not None else 0


def pack_failure(error: BaseException, program: Program) -> Packed:
    """The exception with its traceback from the cell's code down, packed."""
    explain_memory(error)
    parts = _parts(error, _own_frames(error.__traceback__, program), _DEPTH)
    try:
        return Encoder(program.side, by_reference=True).encode(parts)
    except Exception as reason:
        text = "".join(traceback.format_exception_only(error)).strip()
        message = f"{text} (it couldn't be sent as it is: {type(reason).__name__}: {reason})"
        replaced = _parts(RemoteError(message), parts["traceback"], 0)
        return Encoder(program.side, by_reference=True).encode(replaced)


def unpack_failure(packed: Packed, side: Side) -> BaseException:
    """The exception that was packed."""
    return _restored(decode(packed, side))


def _own_frames(tb: TracebackType | None, program: Program) -> TracebackType | None:
    """The traceback from the work down, or from the cell's code that something of ours called."""
    source, of_cell = program.source, None
    while tb is not None and tb.tb_frame.f_code is not source.work:
        if of_cell is None and tb.tb_frame.f_code.co_filename == source.filename:
            of_cell = tb
        tb = tb.tb_next
    return tb or of_cell


def _parts(error: BaseException, tb: Any, depth: int) -> dict[str, Any]:
    notes = vars(error).get("__notes__")
    state = {k: v for k, v in vars(error).items() if k != "__notes__"}
    return {
        "class": type(error),
        "args": error.args,
        "state": state,
        "extra": _extra(error),
        "notes": notes,
        "traceback": tb if isinstance(tb, list) else flattened(tb),
        "suppress": error.__suppress_context__,
        "cause": _chained(error.__cause__, depth),
        "context": _chained(error.__context__, depth),
        "inner": [_parts(e, e.__traceback__, depth) for e in error.exceptions]
        if isinstance(error, BaseExceptionGroup)
        else None,
    }


def _chained(error: BaseException | None, depth: int) -> dict[str, Any] | None:
    if error is None or depth == 0:
        return None
    return _parts(error, error.__traceback__, depth - 1)


def _extra(error: BaseException) -> dict[str, Any]:
    """What the C fields of builtin exceptions hold besides the arguments."""
    names = ("name", "obj", "path", "filename", "filename2", "value", "code", "lineno", "offset",
             "text", "msg", "end_lineno", "end_offset")  # fmt: skip
    found = {}
    for name in names:
        slot = getattr(type(error), name, None)
        if hasattr(slot, "__set__") and not isinstance(slot, property):
            found[name] = getattr(error, name, None)
    return found


def _restored(parts: dict[str, Any]) -> BaseException:
    kind = parts["class"]
    if parts["inner"] is not None:
        message = parts["args"][0]
        error: BaseException = kind.__new__(kind, message, [_restored(p) for p in parts["inner"]])
    else:
        error = kind.__new__(kind, *parts["args"])
        error.args = parts["args"]
    for name, value in parts["extra"].items():
        if getattr(error, name, None) is not value:
            setattr(error, name, value)
    vars(error).update(parts["state"])
    if parts["notes"] is not None:
        vars(error)["__notes__"] = parts["notes"]
    error.__traceback__ = restored(parts["traceback"])
    if parts["cause"] is not None:
        error.__cause__ = _restored(parts["cause"])
    if parts["context"] is not None:
        error.__context__ = _restored(parts["context"])
    error.__suppress_context__ = parts["suppress"]
    return error
