"""The descriptors that make a process a worker."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Ends"]


class Ends(NamedTuple):
    """A worker's ends of what it shares with the supervisor.

    Attributes
    ----------
    channel : int
        Socket for messages.
    words : int
        Page of shared numbers.
    stdout, stderr : int
        Files behind descriptors 1 and 2.
    """

    channel: int
    words: int
    stdout: int
    stderr: int
