"""What is taken ahead of the work, and named: a draw, a step of an iterator, a series of draws."""

from __future__ import annotations

import ast
import io
import itertools
import types
from typing import Final, NamedTuple

__all__ = ["FLOWING", "STEPPING", "Draw"]

STEPPING: Final = frozenset(
    type(iterator)
    for iterator in (iter([]), iter(()), iter(range(0)), iter(range(1 << 70)), iter(""), iter("ä"),
                     iter(b""), reversed([]))
)  # fmt: skip
"""Types of iterators of which there can be copies, which step by themselves."""

FLOWING: Final = frozenset(
    {enumerate, zip, map, itertools.accumulate, itertools.chain, itertools.combinations,
     itertools.combinations_with_replacement, itertools.compress, itertools.count, itertools.cycle,
     itertools.islice, itertools.pairwise, itertools.permutations, itertools.product,
     itertools.repeat, itertools.zip_longest, types.GeneratorType, io.TextIOWrapper,
     type(iter({})), type(iter({}.items())), type(iter({}.values())), type(iter(set()))}
)  # fmt: skip
"""Types of iterators of which there are no copies that last: these are stepped themselves."""


class Draw(NamedTuple):
    """A draw, set apart; or a step of an iterator, which gives a value in the same way.

    Attributes
    ----------
    name
        The name of what is drawn.
    node
        Its expression: a call, a comprehension that makes such calls, or what shuffles a copy.
    calls
        The calls, which all draw with the same function from the same generator.
    own
        Names that the expression binds for itself.
    summed
        Whether it's a generator expression in a sum, and everything in it is taken only if it
        consists of numbers.
    """

    name: str
    node: ast.expr
    calls: tuple[ast.Call, ...]
    own: frozenset[str] = frozenset()
    summed: bool = False

    @property
    def call(self) -> ast.Call:
        """The call, or the first one."""
        return self.calls[0]

    @property
    def is_alone(self) -> bool:
        """Whether it is but the call."""
        return self.node is self.call

    @property
    def text(self) -> str:
        """How messages show it."""
        shuffles = isinstance(self.node, ast.Call) and not self.is_alone
        return ast.unparse(self.call if shuffles else self.node)

    @property
    def value(self) -> ast.expr:
        """What gives its value: a generator's elements are a list, which may be read once more."""
        node = self.node
        if not isinstance(node, ast.GeneratorExp):
            return node
        return ast.copy_location(ast.ListComp(elt=node.elt, generators=node.generators), node)

    @property
    def steps(self) -> bool:
        """Whether it takes an iterator's next item."""
        return isinstance(self.call.func, ast.Name) and self.call.func.id == "next"

    @property
    def owner(self) -> str:
        """The name that leads to the iterator, the generator, or the module that has one."""
        node = self.call.args[0] if self.steps else self.call.func
        while isinstance(node, ast.Attribute):
            node = node.value
        assert isinstance(node, ast.Name)
        return node.id

    @property
    def given(self) -> list[ast.expr]:
        """The calls' arguments, that iterator apart."""
        given: list[ast.expr] = []
        for call in self.calls:
            given += [*call.args[self.steps :], *(keyword.value for keyword in call.keywords)]
        return given
