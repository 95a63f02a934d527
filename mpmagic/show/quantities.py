"""Numbers as people say them: durations and counts."""

from __future__ import annotations

__all__ = ["counted", "duration"]


def duration(seconds: float) -> str:
    """Such as ``0.25 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 0.00005:
        return "0 s"
    if seconds < 0.0095:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def counted(number: int, noun: str) -> str:
    """Such as ``1 call``, ``1,200 iterations``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
