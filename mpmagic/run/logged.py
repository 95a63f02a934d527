"""Records of `logging` that the work makes, handled by the kernel.

A worker's loggers have the levels of the kernel's. A record that passes them becomes an event of
the log, and the kernel's filters and handlers see it in its place among the commits.
"""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from mpmagic.run.log import RECORD
from mpmagic.run.modules import is_users
from mpmagic.run.routing import BY_THE_WORK, is_routed, records_to
from mpmagic.run.tape import catch_up
from mpmagic.run.watch import is_inert

__all__ = ["HandlerWatch", "log_again", "records_taped", "written_by_handlers"]

_IMPORTED: Final[weakref.WeakSet[logging.Handler]] = weakref.WeakSet()
"""Handlers that came with libraries: the kernel gets its own when it imports them."""

_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}


@contextmanager
def records_taped(events: list[tuple[Any, ...]]) -> Iterator[None]:
    """While open, records that pass their logger's level go into `events`.

    Those of this process, or of this thread where threads have records of their own.
    """
    if is_routed():
        with records_to(lambda logger, record: _keep(logger, record, events)):
            yield
        return
    handle, add = logging.Logger.handle, logging.Logger.addHandler
    configure = logging.basicConfig

    def keep(logger: logging.Logger, record: logging.LogRecord) -> None:
        _keep(logger, record, events)

    def note(logger: logging.Logger, handler: logging.Handler) -> None:
        BY_THE_WORK.add(handler)
        if _is_import_of_library():
            _IMPORTED.add(handler)
        add(logger, handler)

    def configured(**options: Any) -> None:
        if options:
            configure(**options)
        else:  # `logging.warning` and its like call it: it is the kernel that has to show records
            events.append((RECORD, "", None, False))

    patched: Any = logging.Logger
    patched.handle, patched.addHandler = keep, note
    logging.basicConfig = configured
    try:
        yield
    finally:
        patched.handle, patched.addHandler = handle, add
        logging.basicConfig = configure


def _keep(logger: Any, record: Any, events: list[Any]) -> None:
    if logger is None:
        events.append((RECORD, "", None, False))
    elif not logger.disabled:
        shown = _show(logger, record)
        catch_up(events)
        events.append((RECORD, logger.name, _portable(record), shown))


class HandlerWatch:
    """Sees what handlers are added from its making on; those that ``--each`` has added stay."""

    def __init__(self) -> None:
        self._before = BY_THE_WORK.copy()

    def left(self) -> str:
        """Where the work has left one, in words.

        A library may leave one at its own loggers, and at any while it's imported.

        All are taken away: later work finds the loggers as the notebook has them.
        """
        new = BY_THE_WORK - self._before - _IMPORTED
        added = {h for h in new if type(h) is not logging.NullHandler}
        if not added:
            return ""
        known: dict[str, Any] = dict(logging.root.manager.loggerDict)
        names = []
        for name, logger in {"root": logging.root, **known}.items():
            left = added.intersection(getattr(logger, "handlers", ()))
            if left and not _is_librarys(name):
                names.append(name)
                for handler in left:
                    logger.removeHandler(handler)
        return f"left a handler at the logger `{names[0]}`" if names else ""


def _is_import_of_library() -> bool:
    """Whether the nearest module that is being imported, or that runs, is a library's."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    name = "__main__" if frame is None else frame.f_globals.get("__name__", "__main__")
    return name != "__main__" and not is_users(sys.modules.get(name))


def _is_librarys(name: str) -> bool:
    module = sys.modules.get(name.partition(".")[0])
    return module is not None and name != "__main__" and not is_users(module)


def log_again(event: tuple[Any, ...]) -> None:
    """Handle a worker's record as if the kernel had made it."""
    _, name, record, shown = event
    if record is None:
        logging.basicConfig()
        return
    logger = logging.getLogger(name)
    record.levelname = logging.getLevelName(record.levelno)
    record.process = os.getpid() if record.process is not None else None
    record.thread = threading.get_ident() if record.thread is not None else None
    # Without handlers logging's last resort would show it once more.
    if logger.hasHandlers() or not shown:
        logger.handle(record)


def written_by_handlers() -> set[int]:
    """Ids of the handlers of this process and of what they hold: streams, lists of records."""
    handlers = [reference() for reference in list(logging._handlerList)]  # type: ignore[attr-defined]
    held = [h for h in handlers if h is not None and type(h) is not logging._StderrHandler]  # type: ignore[attr-defined]
    return {id(v) for h in held for v in (h, *vars(h).values()) if not is_inert(v)}


def _show(logger: logging.Logger, record: logging.LogRecord) -> bool:
    """Let handlers that the work added itself have the record; whether there are any."""
    shown = False
    at: logging.Logger | None = logger
    while at is not None and BY_THE_WORK:
        for handler in at.handlers:
            if handler in BY_THE_WORK:
                shown = True
                if record.levelno >= handler.level:
                    handler.handle(record)
        at = at.parent if at.propagate else None
    return shown


def _portable(record: logging.LogRecord) -> logging.LogRecord:
    """A copy of a record as it is now: what it shows may change, or not be picklable."""
    copied = copy.copy(record)
    if not (is_inert(record.msg) and _are_inert(record.args)):
        try:
            copied.msg, copied.args = record.getMessage(), None
        except Exception:
            return copied  # the kernel's handlers report it, as they would have
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        copied.exc_text = logging.Formatter().formatException(record.exc_info)
    copied.exc_info = None
    for name in vars(record).keys() - _STANDARD:
        if not is_inert(vars(record)[name]):
            vars(copied)[name] = copy.deepcopy(vars(record)[name])
    return copied


def _are_inert(arguments: Any) -> bool:
    if isinstance(arguments, dict):
        return all(is_inert(value) for value in arguments.values())
    return not arguments or (type(arguments) is tuple and all(map(is_inert, arguments)))
