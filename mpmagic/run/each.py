"""The cells of ``--each`` that every worker runs, as the kernel knows them."""

from __future__ import annotations

from typing import NamedTuple

from mpmagic.run.eachwork import Cells
from mpmagic.run.resident import ResidentCell

__all__ = ["EachCell", "EachCells", "Order"]


class EachCell(NamedTuple):
    """One of them.

    Attributes
    ----------
    work
        What travels.
    ident
        By which the front end knows the cell; empty where it says nothing of that.
    text
        Its code.
    reads
        Names that it reads before it binds them, if it binds them at all.
    names
        Those that it leaves in the workers.
    """

    work: ResidentCell
    ident: str
    text: str
    reads: frozenset[str]
    names: frozenset[str]

    def replaces(self, other: EachCell) -> bool:
        """Whether nothing of the other one is wanted any more.

        That's so of the same cell, run again, and of one all of whose names this one binds anew.
        """
        if (self.ident and self.ident == other.ident) or self.text == other.text:
            return True
        return bool(other.names) and other.names <= self.names and not other.names & self.reads


class Order(NamedTuple):
    """The place of a cell among the others.

    Attributes
    ----------
    before, after
        Those that run before it, and after it.
    replaces
        Whether it stands for one that has run already.
    """

    before: tuple[EachCell, ...]
    after: tuple[EachCell, ...]
    replaces: bool

    @property
    def names(self) -> frozenset[str]:
        """The names that the others leave."""
        return _names((*self.before, *self.after))


class EachCells:
    """All of them, in the order in which a new worker runs them.

    Attributes
    ----------
    version
        Another number whenever they have changed.
    """

    def __init__(self) -> None:
        self._cells: tuple[EachCell, ...] = ()
        self.version = 0

    @property
    def work(self) -> Cells:
        """What travels."""
        return work_of(self._cells)

    @property
    def names(self) -> frozenset[str]:
        """The names that they leave in each worker."""
        return _names(self._cells)

    def order_of(self, cell: EachCell) -> Order:
        """Where a cell is to stand: at the place of the one that it replaces, else at the end.

        At the end too if it reads what cells behind that place leave.
        """
        replaced = [i for i, other in enumerate(self._cells) if cell.replaces(other)]
        first = replaced[0] if replaced else len(self._cells)
        kept = [(i, c) for i, c in enumerate(self._cells) if i not in replaced]
        before = tuple(c for i, c in kept if i < first)
        after = tuple(c for i, c in kept if i > first)
        if cell.reads & _names(after):
            before, after = (*before, *after), ()
        return Order(before, after, bool(replaced))

    def keep(self, order: Order, cell: EachCell) -> None:
        """A cell has run in every worker."""
        self._cells = (*order.before, cell, *order.after)
        self.version += 1

    def forget(self) -> None:
        """Have new workers run none of them."""
        self._cells = ()
        self.version += 1


def work_of(cells: tuple[EachCell, ...]) -> Cells:
    """What travels of some cells."""
    return tuple(cell.work for cell in cells)


def _names(cells: tuple[EachCell, ...]) -> frozenset[str]:
    return frozenset(name for cell in cells for name in cell.names)
