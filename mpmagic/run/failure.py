"""Exceptions of the work on their way to the kernel.

They travel in parts and are put together without calling anything of their classes'. What can't
travel leaves a placeholder; only a class that can't makes another exception of it, which has the
text and the traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from mpmagic.errors import RemoteError, UnsendableValue
from mpmagic.pool.context import explain_memory
from mpmagic.pool.exceptions import fields_of, made, made_group, with_fields
from mpmagic.pool.traces import Spot, flattened, restored, space_of_module
from mpmagic.run.codec import Encoder, decode
from mpmagic.run.packed import Packed
from mpmagic.run.placeholder import Placeholder
from mpmagic.run.side import Side
from mpmagic.run.tidying import without_ours
from mpmagic.run.variables import shortened, variables_of
from mpmagic.run.watch import is_inert

if TYPE_CHECKING:
    from mpmagic.run.program import Program

__all__ = ["Failure", "pack_caught", "pack_failure", "unpack_failure"]

_MOST: Final = 100
"""Exceptions of a chain that travel; more than a reader looks at."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that travels.

    Attributes
    ----------
    packed
        Its parts.
    text
        What is left if they can't be put together.
    traceback
        Its traceback, for the same case.
    """

    packed: Packed
    text: str
    traceback: list[Spot]


@dataclass(slots=True)
class _Parts:
    """An exception taken apart; parts of the others that it's chained to in the place of those."""

    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]
    fields: dict[str, Any]
    notes: Any
    traceback: list[Spot]
    suppress: bool
    cause: _Parts | None = None
    context: _Parts | None = None
    message: str = ""
    inner: list[_Parts] | None = None


class _Inner(Enum):
    """In the arguments of a group: its exceptions, which travel as parts."""

    LIST = list
    TUPLE = tuple


def pack_failure(error: BaseException, program: Program) -> Failure:
    """The exception with its traceback from the cell's code down, packed."""
    explain_memory(error)
    return _Taking(program).failure(error)


def pack_caught(error: BaseException, program: Program) -> Failure:
    """The same of an exception that handlers in the kernel are to see.

    Raises
    ------
    UnsendableValue
        If its class can't be sent: handlers would take it for another one.
    """
    taking = _Taking(program)
    if reason := taking.hindrance(type(error)):
        raise UnsendableValue(
            f"an exception under `try`, a {type(error).__name__}, can't be sent to the notebook, "
            f"which handles it: {reason}"
        ) from error
    return taking.failure(error)


def unpack_failure(failure: Failure, side: Side) -> BaseException:
    """The exception that was packed."""
    putting = _Putting(side)
    try:
        error = putting.together(decode(failure.packed, side))
    except Exception as reason:
        text = f"{failure.text} (it can't be made again here: {type(reason).__name__}: {reason})"
        error = RemoteError(text)
    return error.with_traceback(putting.trace(failure.traceback))


def _own_frames(tb: TracebackType | None, program: Program) -> TracebackType | None:
    """The traceback from the work down, or from the user's code that something of ours called."""
    source, of_cell, of_notebook = program.source, None, None
    while tb is not None and tb.tb_frame.f_code is not source.work:
        if of_cell is None and tb.tb_frame.f_code.co_filename == source.filename:
            of_cell = tb
        if of_notebook is None and tb.tb_frame.f_globals is program.side.namespace:
            of_notebook = tb  # a function of another cell's
        tb = tb.tb_next
    return tb or of_cell or of_notebook


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


class _Taking:
    """Takes exceptions apart, each once, however it is chained."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._taken: dict[int, tuple[BaseException, _Parts]] = {}

    def failure(self, error: BaseException) -> Failure:
        """The exception that travels, and apart from it what is needed if it can't."""
        parts = self.apart(error, _own_frames(error.__traceback__, self._program))
        spots, parts.traceback = parts.traceback, []
        return Failure(self._packed(parts), _text(error), spots)

    def apart(self, error: BaseException, tb: TracebackType | None) -> _Parts:
        state = {k: v for k, v in vars(error).items() if k != "__notes__"}
        parts = _Parts(
            kind=type(error),
            args=error.args,
            state=state,
            fields=fields_of(error),
            notes=vars(error).get("__notes__"),
            traceback=flattened(without_ours(tb), variables_of(self._program)),
            suppress=error.__suppress_context__,
        )
        self._taken[id(error)] = error, parts
        parts.cause = self._chained(error.__cause__)
        parts.context = self._chained(error.__context__)
        if isinstance(error, BaseExceptionGroup):
            del parts.fields["message"], parts.fields["exceptions"]
            parts.message, parts.args = error.message, tuple(_without_inner(error))
            parts.inner = [self._member(e) for e in error.exceptions]
        return parts

    def _chained(self, error: BaseException | None) -> _Parts | None:
        if error is None or (len(self._taken) >= _MOST and id(error) not in self._taken):
            return None
        return self._member(error)

    def _member(self, error: BaseException) -> _Parts:
        known = self._taken.get(id(error))
        return known[1] if known is not None else self.apart(error, error.__traceback__)

    def _packed(self, parts: _Parts) -> Packed:
        """The parts, those replaced that can't travel."""
        try:
            packed = self._encoded(parts)
            if not all(map(is_inert, self._values())):
                decode(packed, self._program.side)  # what can't be made again here, can't there
            return packed
        except Exception:
            for error, taken in self._taken.values():
                self._replace(error, taken)
            return self._encoded(parts)

    def _values(self) -> Iterator[Any]:
        for _, parts in self._taken.values():
            yield from (*parts.args, *parts.state.values(), *parts.fields.values(), parts.notes)

    def _replace(self, error: BaseException, parts: _Parts) -> None:
        reason = self.hindrance(parts.kind)
        if reason:
            text = f"{_text(error)} (its class can't be sent to the notebook: {reason})"
            parts.kind, parts.args, parts.state, parts.fields = RemoteError, (text,), {}, {}
            parts.inner = None
        parts.args = tuple(self._sound(f"args[{i}]", v) for i, v in enumerate(parts.args))
        parts.state = {name: self._sound(name, v) for name, v in parts.state.items()}
        parts.fields = {name: self._sound(name, v) for name, v in parts.fields.items()}
        parts.notes = self._sound("__notes__", parts.notes)

    def _sound(self, name: str, value: Any) -> Any:
        if is_inert(value) or not self.hindrance(value):
            return value
        kind = type(value).__name__
        return Placeholder(name, kind, "held by an exception", shortened(value))

    def hindrance(self, value: Any) -> str:
        """Why a value can't travel; empty if it can."""
        try:
            decode(self._encoded(value), self._program.side)
        except Exception as reason:
            return f"{type(reason).__name__}: {reason}"
        return ""

    def _encoded(self, value: Any) -> Packed:
        return Encoder(self._program.side, by_reference=True).encode(value)


def _without_inner(group: BaseExceptionGroup[Any]) -> Iterator[Any]:
    for argument in group.args:
        same = type(argument) in (list, tuple) and tuple(argument) == group.exceptions
        yield _Inner(type(argument)) if same else argument


class _Putting:
    """Puts exceptions together, each once, however it is chained."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._made: dict[int, BaseException] = {}

    def together(self, parts: _Parts) -> BaseException:
        known = self._made.get(id(parts))
        if known is not None:
            return known
        error = self._made[id(parts)] = self._bare(parts)
        with_fields(error, parts.fields)
        vars(error).update(parts.state)
        if parts.notes is not None:
            vars(error)["__notes__"] = parts.notes
        error.__traceback__ = self.trace(parts.traceback)
        error.__cause__ = self._other(parts.cause)
        error.__context__ = self._other(parts.context)
        error.__suppress_context__ = parts.suppress
        return error

    def _other(self, parts: _Parts | None) -> BaseException | None:
        return None if parts is None else self.together(parts)

    def _bare(self, parts: _Parts) -> BaseException:
        if parts.inner is None:
            return made(parts.kind, parts.args)
        group = made_group(parts.kind, parts.message, [self.together(p) for p in parts.inner])
        inner = group.exceptions
        group.args = tuple(a.value(inner) if isinstance(a, _Inner) else a for a in parts.args)
        return group

    def trace(self, spots: list[Spot]) -> TracebackType | None:
        """A traceback whose frames have the notebook's global variables, and its modules'."""
        return restored(spots, self._space)

    def _space(self, spot: Spot) -> dict[str, Any] | None:
        if spot.module.get("__name__") == "__main__":
            return self._side.namespace
        return space_of_module(spot)
