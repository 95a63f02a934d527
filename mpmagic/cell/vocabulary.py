"""What the two halves of a loop say to each other, and how what they add to the code is named.

Workers need these words and nothing else of the planner, which they don't import.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BREAK",
    "DELETED",
    "DRAIN",
    "EVENT",
    "EVENTS",
    "FAILURE",
    "ITEM",
    "REPLAY",
    "START",
]

START: Final = -1
"""The event of an iteration's begin; its operand is the item."""

BREAK: Final = -2
"""The event of a ``break`` that the work decided."""

EVENT: Final = ".event"
"""The local variable that holds a commit's operands: no name of a user's can clash with it."""

EVENTS: Final = ".events"
"""In the kernel: what gives the events, and is told how the commits go on."""

DELETED: Final = -11
"""The event of a name that the work has unbound."""

DRAIN: Final = ".drain"
"""In the worker: exhausts a generator expression that a commit consumes."""

FAILURE: Final = ".failure"
"""In the kernel: gives the exception that the beginning of a ``try`` has raised in the worker."""

REPLAY: Final = ".replay"
"""In the kernel: gives the elements of such a generator, and raises what it raised."""

ITEM: Final = "its argument"
"""How the name of the loop's variable begins: none that a user could give, shown by messages."""
