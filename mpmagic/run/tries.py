"""Iterations that are tried again, that may take so long, and those that are passed over.

With any of these options each iteration travels alone: only so is it clear which one failed, and
nothing of another one is lost with it or done twice.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mpmagic.errors import IterationTimeout, TaskTimeout, WorkerDied
from mpmagic.run.admission import Admitted
from mpmagic.run.engine import Trial
from mpmagic.run.failure import Failure, unpack_failure
from mpmagic.run.log import RAISE, SHOWN, TEXT, Log
from mpmagic.run.options import FailedIteration, Options
from mpmagic.run.origins import Origin, shortened
from mpmagic.run.replayed import replay_aside
from mpmagic.run.side import Side
from mpmagic.run.stays import StaysInKernel
from mpmagic.run.tape import play
from mpmagic.run.work import Drained

if TYPE_CHECKING:
    from mpmagic.run.context import CellContext
    from mpmagic.run.flight import Flight

__all__ = ["Failures", "Tries", "check_passing"]


def check_passing(admitted: Admitted, options: Options) -> None:
    """Keep a loop in the kernel of which no iteration can be left out after all.

    Raises
    ------
    StaysInKernel
        If state of it runs ahead of the work.
    """
    if options.keep_going and admitted.shadow is not None:
        raise StaysInKernel("state of it runs ahead of its work, so that none can be left out")


class Tries:
    """Tells which iterations have failed, and which of them are tried again.

    Parameters
    ----------
    admitted
        The loop.
    options
        What the user asks for.

    Attributes
    ----------
    passes_over
        Whether the loop goes on without those that fail. A comprehension can't: its value would
        lack elements.
    """

    def __init__(self, admitted: Admitted, options: Options) -> None:
        self._line, self._target = admitted.split.line, admitted.dependence.target
        self._options = options
        # What the cell may have handled hasn't failed.
        self._handles = any(
            isinstance(node, ast.Try | ast.TryStar)
            for statement in admitted.dependence.body
            for node in ast.walk(statement)
        )
        self.passes_over = options.keep_going and admitted.split.commit is not None

    def trial(self, tries: int, on_report: Callable[[Any], object]) -> Trial:
        """How an iteration is run after so many tries."""
        may_follow = tries < self._options.retries
        return Trial(self._options.timeout, may_follow, None if may_follow else on_report)

    def ended(self, flight: Flight) -> WorkerDied | TaskTimeout | None:
        """Why there is no log of an iteration alone: its worker died, or its time was over."""
        if not self._options.alone or flight.future.cancelled():
            return None
        error = flight.future.exception()
        if isinstance(error, TaskTimeout):
            what = Origin.of_iteration(flight.first, self._target, flight.batch.items[0], "").what
            seconds = self._options.timeout or 0.0
            return IterationTimeout.of_iteration(what, self._line, seconds, flight.tries)
        if not isinstance(error, WorkerDied):
            return None
        again = f" It was tried {flight.tries} times." if flight.tries > 1 else ""
        error.args = (f"{error}{again}",)
        return error

    def wants_another(self, flight: Flight, side: Side) -> bool:
        """Whether the iteration has failed and may be tried again."""
        if flight.tries > self._options.retries:
            return False
        error = flight.error or self.raised(flight.log, side)
        return isinstance(error, Exception)

    def raised(self, log: Log, side: Side) -> BaseException | None:
        """What ended an iteration's work; None if nothing did."""
        if log.lost_write or log.refused:
            return None
        failure = next(self._failures(log), None)
        return None if failure is None else unpack_failure(failure, side)

    def _failures(self, log: Log) -> Iterator[Failure]:
        for event in log.events:
            if event[0] == RAISE:
                yield event[1]
            drained = [o for o in event[1:] if isinstance(o, Drained) and o.failure is not None]
            if drained and not self._handles:
                assert drained[0].failure is not None
                yield drained[0].failure


class Failures:
    """The failed iterations of one run of a loop, which ``--keep-going`` passes over.

    Parameters
    ----------
    loop
        The loop.
    tries
        Tells what has failed.
    cell
        The cell.
    """

    def __init__(self, loop: ast.For, tries: Tries, cell: CellContext) -> None:
        self._loop, self._tries, self._cell = loop, tries, cell
        self._errors: list[Exception] = []

    def take(self, flight: Flight, side: Side) -> bool:
        """Whether the iteration has failed, so that nothing of it is committed.

        What it has shown is shown.
        """
        if not self._tries.passes_over:
            return False
        error = flight.error or self._tries.raised(flight.log, side)
        if not isinstance(error, Exception):
            return False
        self._show(flight)
        self._note(flight, error)
        return True

    def raise_all(self, iterations: int) -> None:
        """End the loop.

        Parameters
        ----------
        iterations
            How many have been committed.

        Raises
        ------
        ExceptionGroup
            Of what the failed iterations have raised, if there were any.
        """
        if self._errors:
            failed = len(self._errors)
            raise ExceptionGroup(
                f"{failed:,} of {iterations + failed:,} iterations of the loop in line "
                f"{self._loop.lineno} failed; the others are committed",
                self._errors,
            )

    def _show(self, flight: Flight) -> None:
        self._cell.observer.make_way()
        preludes, early = flight.batch.preludes, flight.early
        if 0 in preludes and not early.has_begun(0):
            play(preludes[0])
        for event in flight.log.events:
            if event[0] in (TEXT, SHOWN):
                play([early.rest(event)])
            else:
                replay_aside(event, self._cell.namespace)

    def _note(self, flight: Flight, error: Exception) -> None:
        (item,) = flight.batch.items
        pid = flight.log.timing.pid
        where = self._cell.worker_named(pid) if pid else "a worker that is gone"
        origin = Origin.of_iteration(
            flight.first, self._loop.target, item, where, tries=flight.tries
        )
        if not isinstance(error, IterationTimeout):  # which says that itself
            error.add_note(str(origin))
        self._errors.append(error)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._cell.report.failures.append(
            FailedIteration(self._loop.lineno, flight.first, shortened(item), text, flight.tries)
        )
