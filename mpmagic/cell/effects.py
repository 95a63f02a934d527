"""What running a piece of the cell may do, by name: the facts from which a loop is split.

Names of comprehensions, lambdas and functions inside the piece are their own and don't appear;
what a function of the notebook does to the notebook's globals counts wherever it is called. State
without a name (pyplot's current figure) counts like a name that no source can spell.
"""

from __future__ import annotations

import ast
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mpmagic.cell.syntax import brief

__all__ = ["FIGURE", "Effects", "FunctionSummary", "Mutation", "Refusal"]

FIGURE: Final = "pyplot's current figure"


class Mutation(NamedTuple):
    """A place that may change an object that a name leads to.

    Attributes
    ----------
    node
        The place.
    shallow
        Whether it changes no more than the very object that the name is bound to.
    augments
        Whether it's an augmented assignment to a name, which changes nothing immutable.
    """

    node: ast.AST
    shallow: bool = False
    augments: bool = False

    @property
    def line(self) -> int:
        """The line of the place."""
        return getattr(self.node, "lineno", 0)

    @property
    def text(self) -> str:
        """The source of the place, made only where a message shows it."""
        return brief(self.node)


class Refusal(NamedTuple):
    """A place that no split can be right for, and why.

    Attributes
    ----------
    taken_back_by
        The context managers inside which it would be right, by their qualified names.
    """

    line: int
    name: str
    reason: str
    taken_back_by: frozenset[str] = frozenset()


@dataclass(slots=True)
class Effects:
    """What running a piece of the cell may do, by name.

    Attributes
    ----------
    reads, binds
        Names that are loaded and bound, with the line where that is first done.
    mutates
        Names whose object, or an object reached through it, may be changed in place.
    aliases
        For names bound to a path (``n = nodes[k]``): the names that the path starts from.
    kernel_only
        Why this has to run in the kernel whatever it reads, if so.
    draws
        Draws from random generators.
    refusals
        What can't be split at all.
    closes_all
        Whether every figure of pyplot's is closed.
    substantial
        Whether there is a call, comprehension or operator: something worth sending.
    late
        Names that a function made here reads when it is called.
    hidden
        Names that functions of the notebook touch which are called here.
    enters
        Locks that the work enters itself.
    counts
        Names of shared integers that are added to, and the locks that are held wherever that is
        done.
    looks
        Names of shared memory that is read, or handed on, otherwise.
    """

    reads: dict[str, int] = field(default_factory=dict)
    binds: dict[str, int] = field(default_factory=dict)
    mutates: dict[str, Mutation] = field(default_factory=dict)
    aliases: dict[str, set[str]] = field(default_factory=dict)
    kernel_only: dict[int, str] = field(default_factory=dict)
    draws: list[Mutation] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    enters: set[int] = field(default_factory=set)
    counts: dict[str, frozenset[int]] = field(default_factory=dict)
    looks: set[str] = field(default_factory=set)
    closes_all: bool = False
    substantial: bool = False

    def touched(self) -> set[str]:
        """Every name that is read, bound or mutated."""
        return {*self.reads, *self.binds, *self.mutates}

    def unspelt(self, spelt: Container[str]) -> set[str]:
        """Names that functions read which are called or made here, whatever stands here itself.

        Parameters
        ----------
        spelt
            The names that stand here.
        """
        own = self.late | self.hidden
        return {name for name in self.reads if name in own or name not in spelt}

    def forget(self, name: str) -> None:
        """Take it that `name` isn't touched."""
        for noted in (self.reads, self.binds, self.mutates):
            noted.pop(name, None)

    def absorb(self, other: Effects) -> None:
        """Take over everything that `other` does."""
        for mine, theirs in (
            (self.reads, other.reads),
            (self.binds, other.binds),
        ):
            for name, line in theirs.items():
                mine.setdefault(name, line)
        for name, mutation in other.mutates.items():
            known = self.mutates.get(name)
            if known is None or (known.shallow and not mutation.shallow):
                self.mutates[name] = mutation
        for name, roots in other.aliases.items():
            self.aliases.setdefault(name, set()).update(roots)
        self.kernel_only |= other.kernel_only
        self.draws += other.draws
        self.refusals += other.refusals
        self.late |= other.late
        self.hidden |= other.hidden
        self.enters |= other.enters
        for name, locks in other.counts.items():
            self.counts[name] = self.counts.get(name, locks) & locks
        self.looks |= other.looks
        self.closes_all |= other.closes_all
        self.substantial |= other.substantial


class FunctionSummary(NamedTuple):
    """What calling a function of the notebook does.

    Attributes
    ----------
    effects
        Its effects on the notebook's globals, those of the functions that it calls included.
    mutated_parameters, mutated_names
        Positions and names of parameters whose argument may be changed in place.
    augmented
        Positions and names of those that are only assigned to in an augmented way.
    changes_itself
        Whether it changes, or binds, what only it has: variables of the function that has made it.
    """

    effects: Effects
    mutated_parameters: tuple[int, ...] = ()
    mutated_names: frozenset[str] = frozenset()
    augmented: frozenset[int | str] = frozenset()
    changes_itself: bool = False

    @property
    def mutated(self) -> frozenset[int | str]:
        """Positions and names of the parameters whose argument may be changed."""
        return frozenset[int | str](self.mutated_parameters) | self.mutated_names
