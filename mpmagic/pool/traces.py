"""Tracebacks as flat lists of frames.

Nested, as they are, a thousand frames of a RecursionError couldn't be pickled.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

__all__ = ["flattened", "restored"]


def flattened(trace: TracebackType | None) -> list[dict[str, Any]]:
    """The frames of a traceback, outermost first, as what can be pickled."""
    if trace is None:
        return []
    import tblib

    frames = []
    link = tblib.Traceback(trace)
    while link is not None:
        link, following = link.tb_next, link
        following.tb_next = None
        frames.append(following.as_dict())
    return frames


def restored(frames: list[dict[str, Any]]) -> TracebackType | None:
    """A traceback of these frames; None of none."""
    if not frames:
        return None
    import tblib

    outer = None
    for frame in reversed(frames):
        link = tblib.Traceback.from_dict(frame)
        link.tb_next, outer = outer, link
    assert outer is not None
    return outer.as_traceback()  # type: ignore[no-any-return]
