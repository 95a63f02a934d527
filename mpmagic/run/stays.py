"""Why a loop that was reached isn't split."""

from __future__ import annotations

__all__ = ["StaysInKernel"]


class StaysInKernel(Exception):
    """The loop has to run in the kernel; the message says why."""
