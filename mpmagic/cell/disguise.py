"""Loops in disguise: calls that call a function for each value, row or group.

``table["text"].map(parse)`` is ``parse(value) for value in ...`` in a method of pandas, and
``list(map(parse, texts))`` is ``list(parse(value) for value in texts)``. Whether a receiver is a
pandas object is seen when the call is reached.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from typing import Final, NamedTuple

from mpmagic.cell.comprehension import Comprehension, exhausts
from mpmagic.cell.constants import method_call, placeholder
from mpmagic.cell.knowledge import UNKNOWN, Knowledge
from mpmagic.cell.syntax import children, copied
from mpmagic.cell.vocabulary import ITEM

__all__ = [
    "TAKEN",
    "Disguise",
    "Mapping",
    "SplitGenerator",
    "disguises",
    "mappings",
    "may_be_disguised",
]

TAKEN: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("Series", "map"): frozenset({"na_action"}),
    ("Series", "apply"): frozenset(),
    ("DataFrame", "apply"): frozenset({"axis"}),
    ("SeriesGroupBy", "apply"): frozenset({"include_groups"}),
    ("DataFrameGroupBy", "apply"): frozenset({"include_groups"}),
}
"""pandas' methods by type, and what of their options isn't handed on to the function."""

_KINDS: Final = frozenset(kind for kind, _ in TAKEN)
_METHODS: Final = frozenset(method for _, method in TAKEN)
_OPTIONS: Final = frozenset().union(*TAKEN.values())


class Disguise(NamedTuple):
    """A call of a method that may be one of pandas'.

    Attributes
    ----------
    call
        The call.
    receiver
        Whose method it is.
    function
        What the method calls.
    """

    call: ast.Call
    receiver: ast.expr
    function: ast.expr

    def generator(self, number: int) -> ast.GeneratorExp:
        """The loop: the function's results for all arguments that pandas gives it."""
        arguments = _asked(number, "arguments")
        return _results(self.function, [ast.Name(ITEM, ast.Store())], arguments, self.call)

    def split(self, number: int, receiver: ast.expr, loop: SplitGenerator) -> ast.expr:
        """The call: with the results of the loop, if that is split, or else as it is.

        It is the cell that calls the method: pandas tells warnings where it's called from.
        """
        assert isinstance(self.call.func, ast.Attribute)
        takes = _asked(
            number, "takes", receiver, ast.Constant(self.call.func.attr), copied(self.function)
        )
        takes.keywords = self._options()
        given = [_asked(number, "returning", loop.results), _asked(number, "function")]
        again, as_it_is = (
            ast.Call(_asked(number, "method"), [function], self._options()) for function in given
        )
        test = ast.BoolOp(ast.And(), [takes, loop.begins])
        return ast.IfExp(test, body=_asked(number, "over", again), orelse=as_it_is)

    def _options(self) -> list[ast.keyword]:
        return [copied(keyword) for keyword in self.call.keywords]


class Mapping(NamedTuple):
    """A call of `map` that is exhausted where it is made.

    Attributes
    ----------
    call
        The call.
    generator
        The loop that it stands for.
    """

    call: ast.Call
    generator: ast.GeneratorExp

    def split(self, number: int, loop: SplitGenerator) -> ast.expr:
        """An iterator over the results, of the loop if that is split."""
        function = copied(self.call.args[0])
        method = "mapped" if len(self.call.args) == 2 else "starmapped"
        items = method_call(number, "items")
        split = ast.IfExp(
            test=loop.begins,
            body=_asked(number, "iterator", loop.results),
            orelse=_asked(number, method, function, items),
        )
        return ast.IfExp(_asked(number, "calls", function), split, copied(self.call))


class SplitGenerator(NamedTuple):
    """A generator that the plan has split.

    Attributes
    ----------
    begins
        Whether it is split when it's reached.
    results
        The kernel's half.
    """

    begins: ast.expr
    results: ast.expr


def may_be_disguised(node: ast.AST) -> bool:
    """Whether an expression with this node may be worth a closer look."""
    if isinstance(node, ast.Name):
        return node.id == "map"
    return isinstance(node, ast.Attribute) and node.attr in _METHODS


def disguises(node: ast.AST, knowledge: Knowledge) -> Iterator[Disguise]:
    """Calls in an expression that may be pandas', the innermost first."""
    if isinstance(node, ast.Lambda | Comprehension):
        return
    for child in children(node):
        yield from disguises(child, knowledge)
    match node:
        case ast.Call(
            func=ast.Attribute(value=receiver, attr=method), args=[function], keywords=options
        ) if (
            method in _METHODS
            and all(map(_is_understood, options))
            and _may_be_pandas(receiver, knowledge)
            and _is_function(function, knowledge)
        ):
            yield Disguise(node, receiver, function)


def mappings(node: ast.AST, knowledge: Knowledge) -> Iterator[Mapping]:
    """Calls of `map` in an expression that are exhausted where they are made."""
    if isinstance(node, ast.Lambda | Comprehension):
        return
    if isinstance(node, ast.Call) and node.args and exhausts(node, knowledge.resolve):
        match node.args[0]:
            case ast.Call(func=func, args=[function, *iterables], keywords=[]) as call if (
                knowledge.resolve(func) is map
                and iterables
                and _is_function(function, knowledge)
                and not any(isinstance(part, ast.Starred) for part in iterables)
                and (len(iterables) == 1 or knowledge.value("zip") is zip)
            ):
                yield Mapping(call, _over(function, iterables, call))
                return
    for child in children(node):
        yield from mappings(child, knowledge)


def _over(function: ast.expr, iterables: list[ast.expr], call: ast.Call) -> ast.GeneratorExp:
    if len(iterables) == 1:
        return _results(function, [ast.Name(ITEM, ast.Store())], iterables[0], call)
    names = [f"{ITEM} {number}" for number in range(1, len(iterables) + 1)]
    together = ast.Call(ast.Name("zip", ast.Load()), [copied(part) for part in iterables], [])
    return _results(function, [ast.Name(n, ast.Store()) for n in names], together, call)


def _results(
    function: ast.expr, items: list[ast.Name], iterable: ast.expr, at: ast.Call
) -> ast.GeneratorExp:
    target = items[0] if len(items) == 1 else ast.Tuple(list(items), ast.Store())
    given: list[ast.expr] = [ast.Name(item.id, ast.Load()) for item in items]
    result = ast.copy_location(ast.Call(copied(function), given, []), at)
    loop = ast.comprehension(target, iterable, [], 0)
    made = ast.copy_location(ast.GeneratorExp(result, [loop]), at)
    return ast.fix_missing_locations(made)


def _asked(number: int, method: str, *arguments: ast.expr) -> ast.Call:
    run = ast.Attribute(ast.Constant(placeholder(number)), "disguised", ast.Load())
    return ast.Call(ast.Attribute(run, method, ast.Load()), list(arguments), [])


def _is_understood(option: ast.keyword) -> bool:
    return option.arg in _OPTIONS and isinstance(option.value, ast.Constant)


def _may_be_pandas(receiver: ast.expr, knowledge: Knowledge) -> bool:
    kind = knowledge.type_of(receiver)
    if kind is None:
        return knowledge.resolve(receiver) is UNKNOWN
    return kind.__name__ in _KINDS and str(kind.__module__).partition(".")[0] == "pandas"


def _is_function(node: ast.expr, knowledge: Knowledge) -> bool:
    """Whether it's a function in Python, as far as is known, and evaluating it does nothing."""
    match node:
        case ast.Lambda(args=ast.arguments(defaults=[], kw_defaults=[])):
            return True
        case ast.Name(id=name) if knowledge.is_hidden(name):
            return knowledge.type_of(node) in (None, types.FunctionType)
        case ast.Name() | ast.Attribute():
            return isinstance(knowledge.resolve(node), types.FunctionType)
        case _:
            return False
