"""Where exceptions came from: the iteration, its item and the process, for a note below them."""

from __future__ import annotations

import ast
import reprlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["Origin", "Origins", "chained", "shortened"]

_KEPT: Final = 100
"""Exceptions of one cell that are remembered: most that it handles are never shown."""

_WIDTH: Final = 60


class Origin(NamedTuple):
    """Where an exception was raised.

    Attributes
    ----------
    what
        The iteration, or the line of the call.
    where
        The worker's process or thread; empty for the kernel.
    tries
        How many times that was tried.
    """

    what: str
    where: str = ""
    tries: int = 1

    @classmethod
    def of_iteration(
        cls, number: int, target: ast.expr, item: Any, where: str, *, tries: int = 1
    ) -> Origin:
        """That of an iteration of a loop."""
        text = f"iteration {number}, {ast.unparse(target)} = {shortened(item)}"
        return cls(text, where, tries)

    def __str__(self) -> str:
        again = f", the last of {self.tries} tries" if self.tries > 1 else ""
        return f"%%parallel: {self.what}, in {self.where or 'the kernel'}{again}"


@dataclass(slots=True)
class Origins:
    """Those of the exceptions that have left a cell's loops and calls."""

    _known: deque[tuple[BaseException, Origin]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def note(self, error: BaseException, origin: Origin) -> None:
        """Remember one."""
        self._known.append((error, origin))

    def tell(self, error: BaseException) -> None:
        """Add notes to an exception that ends the cell, and to those that it's chained to."""
        for one in chained(error):
            origin = next((o for e, o in self._known if e is one), None)
            if origin is not None:
                one.add_note(str(origin))

    def forget(self) -> None:
        """Let go of all."""
        self._known.clear()


def chained(error: BaseException) -> Iterator[BaseException]:
    """An exception, and all that it's chained to or made of, each once."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = _WIDTH


def shortened(item: Any) -> str:
    """What an item looks like, in one line that isn't long."""
    try:
        text = " ".join(_Short().repr(item).split())
    except Exception:  # a `__repr__` of the user's
        text = f"<{type(item).__qualname__}>"
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
