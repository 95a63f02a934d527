"""Warnings of the work, issued again by the kernel.

A worker sends each warning that its filters let through; whether the notebook has shown it before
is for the kernel's registries to say, as in the serial loop.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpmagic.run.log import WARN

__all__ = ["warn_again", "warnings_taped"]


@contextmanager
def warnings_taped(events: list[tuple[Any, ...]]) -> Iterator[None]:
    """While open, warnings that would be shown go into `events`."""

    def keep(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        events.append((WARN, message, category, filename, lineno))

    before = warnings.showwarning
    warnings.showwarning = keep
    try:
        yield
    finally:
        warnings.showwarning = before


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
