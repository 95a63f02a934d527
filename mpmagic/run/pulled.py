"""Items that were pulled and wait to be sent, each with what came with it.

Of most loops nothing has: then a list of the items is all there is, for with a record for each of
them the garbage collector takes longer than what pulls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mpmagic.run.packed import Packed

__all__ = ["Prelude", "Pulled"]

Prelude = list[tuple[Any, ...]]

_T = TypeVar("_T")


@dataclass(slots=True)
class Pulled:
    """Items in order.

    Attributes
    ----------
    items
        The items.
    preludes
        By position: what pulling the item has written.
    alone
        By position: the pickle of an item that the iterable may change when it goes on.
    """

    items: list[Any] = field(default_factory=list)
    preludes: dict[int, Prelude] = field(default_factory=dict)
    alone: dict[int, Packed] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Any, prelude: Prelude) -> None:
        """Add the next item."""
        if prelude:
            self.preludes[len(self.items)] = prelude
        self.items.append(item)

    def take(self, count: int) -> Pulled:
        """Take the first items out, at most so many."""
        taken = Pulled(
            self.items[:count], _before(self.preludes, count), _before(self.alone, count)
        )
        self.items = self.items[count:]
        self.preludes, self.alone = _from(self.preludes, count), _from(self.alone, count)
        return taken

    def cut(self, index: int) -> None:
        """Forget an item and those after it."""
        del self.items[index:]
        self.preludes, self.alone = _before(self.preludes, index), _before(self.alone, index)


def _before(by_position: Mapping[int, _T], end: int) -> dict[int, _T]:
    return {i: value for i, value in by_position.items() if i < end}


def _from(by_position: Mapping[int, _T], start: int) -> dict[int, _T]:
    return {i - start: value for i, value in by_position.items() if i >= start}
