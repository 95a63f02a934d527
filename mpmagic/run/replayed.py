"""What the work did beside its commits, done by the kernel in its place among them."""

from __future__ import annotations

from typing import Any

from mpmagic.run.log import FILTERED, LEVELS, RECORD, SHOWN, SIGNALS, TEXT, WARN
from mpmagic.run.logged import log_again
from mpmagic.run.loglevels import set_again
from mpmagic.run.signals import signal_again
from mpmagic.run.tape import play
from mpmagic.run.warned import forget_shown, warn_again

__all__ = ["replay_aside"]


def replay_aside(event: tuple[Any, ...], namespace: dict[str, Any]) -> bool:
    """Do again what an event tells that isn't a commit's, as text; False for one that is.

    Parameters
    ----------
    event
        The event.
    namespace
        The user's namespace.
    """
    match event[0]:
        case code if code in (TEXT, SHOWN):
            play([event])
        case code if code == WARN:
            warn_again(event, namespace)
        case code if code == FILTERED:
            forget_shown()
        case code if code == RECORD:
            log_again(event)
        case code if code == SIGNALS:
            signal_again(event)
        case code if code == LEVELS:
            set_again(event)
        case _:
            return False
    return True
