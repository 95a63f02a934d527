"""The one line under a parallel cell."""

from __future__ import annotations

from html import escape

from mpmagic.run.options import CallsReport, LoopReport, RunReport
from mpmagic.show.quantities import counted, duration
from mpmagic.show.style import wrapped

__all__ = ["Line", "Stopped", "Summary"]


class Line:
    """A line of text in the second colour; what says something derives from it."""

    def _text(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"%%parallel: {self._text()}"

    def _repr_html_(self) -> str:
        return wrapped(f'<span class="faint">{escape(repr(self))}</span>')


class Summary(Line):
    """What became of a cell's loops and calls.

    Parameters
    ----------
    report
        The run's report.
    workers
        How many workers there were.
    """

    def __init__(self, report: RunReport, workers: int) -> None:
        self._report = report
        self._workers = counted(workers, "worker")

    def _text(self) -> str:
        report = self._report
        parts = [self._loops(report.loops)] if report.loops else []
        parts += [self._calls(calls) for calls in report.calls if calls.calls]
        for what, stayed in (("loop", report.stayed), ("call", report.kept)):
            parts += [f"the {what} in line {n} ran in the kernel: {why}" for n, why in stayed]
        if report.serial:
            parts.append(f"the cell ran in the kernel: {report.serial}")
        parts += report.told_of_resuming
        return "; ".join(parts)

    def _loops(self, loops: list[LoopReport]) -> str:
        count = counted(sum(loop.iterations for loop in loops), "iteration")
        rest = sum(loop.done - loop.iterations for loop in loops)
        more = f"; {rest:,} more in the kernel, too short to be sent" if rest else ""
        resumed = sum(loop.resumed for loop in loops)
        before = f", {resumed:,} of them done before," if resumed else ""
        wall, work = sum(loop.wall for loop in loops), sum(loop.work for loop in loops)
        return f"{count}{before} in {duration(wall)} on {self._workers}{_gain(work, wall)}{more}"

    def _calls(self, calls: CallsReport) -> str:
        beside = "" if calls.beside else ", one after the other,"
        gain = _gain(calls.work, calls.wall)
        made = counted(calls.calls, "call")
        return f"{made}{beside} in {duration(calls.wall)} on {self._workers}{gain}"


class Stopped(Line):
    """Where a cell ended that didn't come to its end; the error itself stands below.

    Parameters
    ----------
    report
        The run's report.
    error
        What ended it.
    """

    def __init__(self, report: RunReport, error: BaseException) -> None:
        self._report = report
        self._error = error

    def _text(self) -> str:
        return "; ".join([self._ended(), *self._report.told_of_resuming])

    def _ended(self) -> str:
        how = "interrupted" if isinstance(self._error, KeyboardInterrupt) else "ended by an error"
        if not self._report.loops:
            calls = self._report.calls
            done = counted(sum(group.calls for group in calls), "call")
            return f"{how} after {done} in {duration(sum(group.wall for group in calls))}"
        last = self._report.loops[-1]
        before = f"{last.done:,} of " if last.total is not None else ""
        done = counted(last.iterations if last.total is None else last.total, "iteration")
        where = f"of the loop in line {last.line}, in {duration(last.wall)}"
        return f"{how} after {before}{done} {where}"


def _gain(work: float, wall: float) -> str:
    """How much faster it was than the work alone, one after the other."""
    if wall < 0.02:
        return ""
    if work >= 1.05 * wall:
        verdict = f"{work / wall:.1f} times as fast"
    elif work < wall / 2:
        verdict = "too little for workers to help"
    else:
        verdict = "no faster than without workers"
    return f", {duration(work)} of work: {verdict}"
