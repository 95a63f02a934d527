"""Outcomes of what a worker ran ahead: kept there, and taken by the kernel where it comes to them.

While a piece runs, what it writes goes into the log as ever. It is cut out again when the piece
has ended, and played by the kernel if that reaches the piece.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mpmagic.pool import is_interrupt
from mpmagic.run.failure import Failure, pack_failure
from mpmagic.run.keys import slotted
from mpmagic.run.log import PIECE, UNBOUND, WARN
from mpmagic.run.placeholder import Placeholder
from mpmagic.run.program import Program
from mpmagic.run.reachable import Reachable
from mpmagic.run.replayed import replay_aside
from mpmagic.run.tape import catch_up
from mpmagic.run.warned import forget_unseen
from mpmagic.run.watch import Fingerprint, fingerprint, is_inert

if TYPE_CHECKING:
    from mpmagic.cell.site import Piece

__all__ = ["Outcome", "Speculator", "Stuck", "raise_as_here", "take"]


@dataclass(frozen=True, slots=True)
class Stuck:
    """The place of a value that can't travel.

    Attributes
    ----------
    kind, reason
        Its type, and why it can't.
    """

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a piece.

    Attributes
    ----------
    values
        What its names hold at its end, or the value of an expression.
    events
        What it has written, in order.
    failure
        The packed exception that ended it, if one did.
    fine
        Whether it has ended without.
    """

    values: tuple[Any, ...] = ()
    events: list[tuple[Any, ...]] = field(default_factory=list)
    failure: Failure | None = None
    fine: bool = False

    def portable(self, hindrance: Callable[[Any], str]) -> Outcome:
        """The same without values that can't be pickled; `hindrance` says why one can't."""
        reasons = [hindrance(value) for value in self.values]
        pairs = zip(self.values, reasons, strict=True)
        kept = tuple(Stuck(type(v).__name__, reason) if reason else v for v, reason in pairs)
        return replace(self, values=kept)


class Speculator:
    """Keeps the outcomes of a chunk's pieces; what the work calls before and after each.

    Parameters
    ----------
    events
        The log's events.
    program
        The loop's work.
    refuse
        Notes that the chunk can't be right, and why.
    """

    unbound: Final = UNBOUND
    unreached: Final = Outcome()

    def __init__(
        self, events: list[tuple[Any, ...]], program: Program, refuse: Callable[[str], None]
    ) -> None:
        self._events = events
        self._program = program
        self._refuse = refuse
        self._mark = 0
        self._watched: list[tuple[str, Any, Fingerprint]] = []

    def begin(self, names: tuple[str, ...], *shadows: Any) -> None:
        """A piece begins, which reads private names and what pieces before it have bound."""
        namespace = self._program.side.namespace
        values = [(f"`{n}`", namespace[n]) for n in names if n in namespace]
        values += [("what work before it made", value) for value in shadows]
        self._watched = [
            (what, v, fingerprint(v, self._program.side)) for what, v in values if not is_inert(v)
        ]
        catch_up(self._events)
        self._mark = len(self._events)
        self._events.append((PIECE,))  # so that nothing of what follows is shown early

    def done(self, *values: Any) -> Outcome:
        """The piece has ended."""
        self._check_apart(values)
        return Outcome(values, self._cut(), fine=True)

    def failed(self, *values: Any) -> Outcome:
        """The piece has raised the exception that is being handled."""
        error = sys.exception()
        assert error is not None
        if is_interrupt(error):
            raise error
        self._check_apart(values)
        return Outcome(values, self._cut(), pack_failure(error, self._program))

    def _check_apart(self, values: tuple[Any, ...]) -> None:
        """Of arrays that share memory each would come to the kernel with memory of its own."""
        made = [Reachable([v], deep=True).arrays for v in values if not is_inert(v)]
        if any(
            one is not other and sys.modules["numpy"].may_share_memory(one, other)
            for first, second in itertools.combinations(made, 2)
            for one, other in itertools.product(first, second)
        ):
            self._refuse("what runs only if shared state says so made arrays that share memory")

    def _cut(self) -> list[tuple[Any, ...]]:
        """What the piece has written, taken out of the log."""
        for what, value, before in self._watched:
            if fingerprint(value, self._program.side) != before:
                self._refuse(f"work that runs only if shared state says so changed {what}")
        catch_up(self._events)
        events = self._events[self._mark + 1 :]
        del self._events[self._mark :]
        if any(event[0] == WARN for event in events):
            forget_unseen(self._events)
        return events


def take(outcome: Outcome, piece: Piece, namespace: dict[str, Any]) -> Stuck | None:
    """Write what a piece has written, and bind its names.

    The first value that is needed and can't travel is what comes back.

    Raises
    ------
    UnsendableValue
        If something is looked up under a value that is found by its identity only.
    """
    for event in outcome.events:
        replay_aside(event, namespace)
    for name, value in zip(piece.names, outcome.values, strict=True):
        if value is UNBOUND:
            continue
        if isinstance(value, Stuck):
            if name not in piece.spare:
                return value
            value = Placeholder(name, value.kind)
        if name in piece.keyed:
            slotted(value)
        if name:
            namespace[name] = value
    return None


def raise_as_here(error: BaseException) -> None:
    """Raise an exception of a worker as if it had come up here, where others may be handled."""
    own = error.__context__
    try:
        raise error
    finally:
        here = error.__context__
        if own is not None and here is not None and here is not own:
            error.__context__ = first = own
            while first.__context__ is not None:
                first = first.__context__
            first.__context__ = here
