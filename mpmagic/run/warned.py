"""Warnings of the work, issued again by the kernel.

A worker sends each warning that its filters let through; whether the notebook has shown it before
is for the kernel's registries to say, as in the serial loop. Those are forgotten whenever filters
change (a library enters `warnings.catch_warnings`), so a worker sends word of that too.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from mpmagic.run.log import FILTERED, WARN
from mpmagic.run.tape import catch_up
from mpmagic.run.tenancy import Tenancy, tenancy

__all__ = ["forget_shown", "forget_unseen", "warn_again", "warnings_aside",
           "warnings_taped"]  # fmt: skip

# What `warnings` calls when its filters change: the first up to Python 3.13, the other from 3.14.
_TOLD: Final = ("_filters_mutated", "_filters_mutated_lock_held")


@contextmanager
def warnings_taped(events: list[tuple[Any, ...]]) -> Iterator[None]:
    """While open, warnings that would be shown go into `events`."""
    if tenancy() is Tenancy.COMPANION:
        yield  # none may be shown there, see `mpmagic.engine.guards`
        return

    def keep(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        catch_up(events)
        events.append((WARN, message, category, filename, lineno))

    before = warnings.showwarning
    told: dict[str, Callable[[], None]] = {
        n: vars(warnings)[n] for n in _TOLD if n in vars(warnings)
    }
    warnings.showwarning = keep
    vars(warnings).update({name: _noting(tell, events) for name, tell in told.items()})
    try:
        yield
    finally:
        vars(warnings).update(told)
        warnings.showwarning = before


def _noting(tell: Callable[[], None], events: list[tuple[Any, ...]]) -> Callable[[], None]:
    def noting() -> None:
        tell()
        if not events or events[-1][0] != FILTERED:
            events.append((FILTERED,))

    return noting


@contextmanager
def warnings_aside() -> Iterator[list[Any]]:
    """While open, warnings of what is run ahead are no more than counted.

    `warnings.catch_warnings` would have all be shown again that have been: here the registries
    stay as they are, and neither does what isn't shown leave a trace in them.
    """
    seen: list[Any] = []

    def keep(*warning: Any, **_: Any) -> None:
        seen.append(warning)

    before, everything = warnings.showwarning, ("always", None, Warning, None, 0)
    warnings.showwarning = keep
    warnings.filters.insert(0, everything)  # type: ignore[attr-defined]
    try:
        yield seen
    finally:
        warnings.filters.remove(everything)  # type: ignore[attr-defined]
        warnings.showwarning = before


def forget_shown() -> None:
    """Have this process forget which warnings it has shown, as where its filters change."""
    with warnings.catch_warnings():
        pass


def forget_unseen(events: list[tuple[Any, ...]]) -> None:
    """Have a worker forget what it has shown, which the kernel may pass over, and not say so."""
    if tenancy() is Tenancy.COMPANION:
        return
    length = len(events)
    forget_shown()
    del events[length:]


def warn_again(event: tuple[Any, ...], namespace: dict[str, Any]) -> None:
    """Issue a worker's warning as if the kernel had come to that line."""
    _, message, category, filename, line = event
    module = next(
        (m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == filename), None
    )
    space = namespace if module is None else vars(module)
    warnings.warn_explicit(
        message,
        category,
        filename,
        line,
        module=space.get("__name__"),
        registry=space.setdefault("__warningregistry__", {}),
    )
