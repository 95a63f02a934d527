"""What the user's threads and the notifier do with what has arrived: unpickle, hand over, show."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from mpmagic.errors import UnsendableValue
from mpmagic.pool.freight import Unopened
from mpmagic.pool.future import Outcome
from mpmagic.pool.message import Done, Text

if TYPE_CHECKING:
    from mpmagic.pool.parts import Room
    from mpmagic.pool.task import Task

__all__ = ["open_failure", "open_result", "outcome_of", "outcome_of_rooms", "show", "tell_report"]


def open_result(value: Unopened) -> tuple[Any, BaseException | None]:
    """Unpickle a result."""
    try:
        return value.open(), None
    except (Exception, SystemExit) as error:
        return None, _unreadable("result", error)


def open_failure(value: Unopened) -> tuple[None, BaseException]:
    """Unpickle an exception."""
    try:
        return None, value.open().exception()
    except (Exception, SystemExit) as error:
        return None, _unreadable("exception", error)


def outcome_of(message: Done, descriptors: list[int]) -> Outcome:
    """Take over what has come of a task, unopened."""
    try:
        value = Unopened.of_segments(message.value, descriptors)
    except (OSError, MemoryError) as error:  # this process has no room for the result
        return Outcome.of_error(error)
    load = open_failure if message.is_failure else open_result
    return Outcome(partial(load, value), is_failure=message.is_failure)


def outcome_of_rooms(message: Done, rooms: list[Room]) -> Outcome:
    """Take over what has come of a task and was read in place, unopened."""
    return Outcome(partial(open_result, Unopened.of_rooms(message.value, rooms)))


def tell_report(task: Task, value: Unopened) -> None:
    """Hand a report over; if it can't be read, the task's future will say so."""
    assert task.on_report is not None
    try:
        report = value.open()
    except BaseException as error:
        task.report_error = _unreadable("report", error)
        return
    task.on_report(report)


def show(text: Text) -> None:
    """Write what workers wrote to the same streams of this process."""
    for name, piece in text:
        stream = getattr(sys, name)
        if stream is None:  # a windowed application
            continue
        try:
            stream.write(piece)
            stream.flush()
        except (OSError, ValueError) as error:
            logging.getLogger("mpmagic.pool").debug("output of a worker is lost: %r", error)


def _unreadable(what: str, error: BaseException) -> UnsendableValue:
    unreadable = UnsendableValue(
        f"the {what} of a task arrived and could not be unpickled here: "
        f"{type(error).__name__}: {error}. Return something simpler, or look at its class's "
        f"__reduce__ or __setstate__."
    )
    unreadable.__cause__ = error
    return unreadable
