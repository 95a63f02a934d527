"""What the notebook's names stand for, as far as it is known before the cell runs.

The analysis asks what a name is bound to (a function of the notebook, a module, a list) and of
which type an expression is. Names that the cell itself binds before the loop hide what the
namespace holds now: for those only what their assignment shows is known.
"""

from __future__ import annotations

import ast
import builtins
import collections
import logging
import types
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.formats import Formats, formats_in
from mpmagic.cell.syntax import children, walk

__all__ = ["UNKNOWN", "Knowledge", "Unknown", "bound_names"]


class Unknown:
    """The value of a name of which nothing is known."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

_BUILTINS: Final = vars(builtins)
"""Looked up like a namespace: most names are no builtins, and `getattr` makes an error for each."""

_LITERAL_TYPES: Final[dict[type[ast.expr], type]] = {
    ast.List: list,
    ast.ListComp: list,
    ast.Dict: dict,
    ast.DictComp: dict,
    ast.Set: set,
    ast.SetComp: set,
    ast.Tuple: tuple,
    ast.JoinedStr: str,
    ast.GeneratorExp: types.GeneratorType,
    ast.Lambda: types.FunctionType,
}

# What calling these makes is exactly of this type.
_CONSTRUCTORS: Final[tuple[type, ...]] = (
    list, dict, set, frozenset, tuple, str, bytes, bytearray, int, float, complex, bool,
    collections.Counter, collections.defaultdict, collections.deque, collections.OrderedDict,
)  # fmt: skip

_RESULT_TYPES: Final[Mapping[Any, type]] = {
    sorted: list,
    len: int,
    range: range,
    repr: str,
    iter: UNKNOWN.__class__,
}


class Bound(NamedTuple):
    """The names that a loop binds.

    Attributes
    ----------
    names
        All.
    first
        Those that it binds before it reads them, and of which something else is known.
    """

    names: Set[str]
    first: Set[str]


class Knowledge:
    """What names and expressions are known to be.

    Parameters
    ----------
    namespace
        The user's namespace.
    hidden
        Names that the cell binds before the loop is reached, so that what `namespace` says
        of them need not hold.
    apart
        Whether workers have processes of their own.
    """

    def __init__(
        self, namespace: Mapping[str, Any], hidden: Iterable[str] = (), *, apart: bool = True
    ) -> None:
        self.namespace = namespace
        self.apart = apart
        self._hidden: dict[str, type | None] = dict.fromkeys(hidden)
        # Whether all items of the loop are immutable: taken for granted until they can be seen.
        self.items_immutable = True
        # The type of all items, by the name of the loop's target, once they can be seen.
        self.item_types: Mapping[str, type] = {}
        # Names of the loop's target whose values can't travel to a worker, with their types.
        self.staying: Mapping[str, str] = {}
        # Whether state may be sliced: until the slots can be seen to meet.
        self.slicing = True
        # Whether state may run ahead of the work: until it turns out that commits reach it.
        self.preparing = True
        # Names that were seen to stand for something else than plain values, which can't.
        self.not_plain: set[str] = set()
        # Whether the work may add to shared integers: where its additions are all that happens.
        self.counting = False
        self.definitions: dict[str, ast.FunctionDef] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        # Names that the loop binds which is looked at.
        self.varying: Set[str] = frozenset()

    @cached_property
    def _formats(self) -> Formats | None:
        return formats_in(self.namespace) if self.apart else None

    @property
    def shows_in_workers(self) -> bool:
        """Whether workers can format what is displayed as the notebook does."""
        return self._formats is not None

    @property
    def shows_figures(self) -> bool:
        """Whether showing figures displays those that are open, and closes them."""
        return self._formats is not None and bool(self._formats.backend)

    def note_statement(self, statement: ast.stmt) -> None:
        """Take into account that the cell runs `statement` before the loop is reached."""
        if isinstance(statement, ast.FunctionDef):
            self.hide(statement.name, types.FunctionType)
            self.definitions[statement.name] = statement
        elif isinstance(statement, ast.ClassDef):
            self.hide(statement.name, type)
            self.classes[statement.name] = statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                self._note_import(alias.asname or alias.name.partition(".")[0])
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                self._note_assignment(target, statement.value)
        else:
            for name in bound_names(statement):
                self.hide(name, None)

    def value(self, name: str) -> Any:
        """What `name` is bound to, or `UNKNOWN`."""
        if name in self._hidden:
            return UNKNOWN
        if name in self.namespace:
            return self.namespace[name]
        return _BUILTINS.get(name, UNKNOWN)

    def defined(self, name: str) -> bool:
        """Whether `name` is bound now or will be when the loop is reached."""
        return name in self._hidden or name in self.namespace or name in _BUILTINS

    def is_hidden(self, name: str) -> bool:
        """Whether the cell itself binds `name` before the loop."""
        return name in self._hidden

    def resolve(self, node: ast.expr) -> Any:
        """The object that a dotted name stands for, looking through modules and classes only."""
        if isinstance(node, ast.Name):
            return self.value(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if isinstance(owner, types.ModuleType | type):
                # Not getattr: a module's __getattr__ may import half a library.
                for space in owner.__mro__ if isinstance(owner, type) else (owner,):
                    if node.attr in vars(space):
                        return vars(space)[node.attr]
        return UNKNOWN

    def type_of(self, node: ast.expr) -> type | None:
        """The exact type of an expression's value; None where it isn't known."""
        if isinstance(node, ast.Constant):
            return type(node.value)
        if type(node) in _LITERAL_TYPES:
            return _LITERAL_TYPES[type(node)]
        if isinstance(node, ast.Name) and node.id in self._hidden:
            return self._hidden[node.id]
        if isinstance(node, ast.Call):
            return self._type_of_call(node)
        value = self.resolve(node)
        return None if value is UNKNOWN else type(value)

    def _type_of_call(self, node: ast.Call) -> type | None:
        callee = self.resolve(node.func)
        if isinstance(callee, type) and callee in _CONSTRUCTORS:
            return callee
        if tables.qualified_name(callee) == "logging.getLogger":
            return logging.Logger
        try:
            return _RESULT_TYPES.get(callee)
        except TypeError:  # an unhashable callable
            return None

    def _generator_made(self, node: ast.expr) -> type | None:
        """The type of a new generator of random numbers: shared as soon as it has a name."""
        callee: Any = self.resolve(node.func) if isinstance(node, ast.Call) else UNKNOWN
        if isinstance(callee, type) and tables.is_random(callee):
            return callee
        made = tables.qualified_name(callee) == "numpy.random.default_rng"
        return type(callee(0)) if made else None

    def hide(self, name: str, kind: type | None = None) -> None:
        """Forget what `name` stands for but for its type, since the cell binds it again."""
        self.definitions.pop(name, None)
        self.classes.pop(name, None)
        self._hidden[name] = kind

    @contextmanager
    def inside(self, bound: Bound) -> Iterator[None]:
        """While the body of a loop is looked at."""
        before = self._hidden, self.definitions, self.classes
        varying, self.varying = self.varying, bound.names
        self._hidden, self.definitions = dict(self._hidden), dict(self.definitions)
        self.classes = dict(self.classes)
        for name in bound.first:
            self.hide(name)
        for name, kind in self.item_types.items():
            self.hide(name, kind)
        try:
            yield
        finally:
            self.varying = varying
            self._hidden, self.definitions, self.classes = before

    def _note_import(self, name: str) -> None:
        # An import of what the notebook has already gives the same thing again.
        if not isinstance(self.value(name), types.ModuleType | type | types.FunctionType):
            self.hide(name, types.ModuleType if name not in self.namespace else None)

    def _note_assignment(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.hide(target.id, self.type_of(value) or self._generator_made(value))
        elif isinstance(target, ast.Tuple | ast.List):
            matching = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(
                target.elts
            )
            for i, element in enumerate(target.elts):
                if matching and not isinstance(element, ast.Starred):
                    assert isinstance(value, ast.Tuple | ast.List)
                    self._note_assignment(element, value.elts[i])
                else:
                    for name in bound_names(element):
                        self.hide(name, None)


# What binds names by more than a name in a place to store into, or keeps them to itself.
_BINDING: Final = frozenset({
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp, ast.alias, ast.ExceptHandler, ast.MatchAs, ast.MatchStar,
    ast.MatchMapping,
})  # fmt: skip


def bound_names(node: ast.AST) -> set[str]:
    """Names that running `node` may bind in its own scope (not in functions inside it)."""
    names: set[str] = set()
    found: list[ast.AST] = [node]
    for item in found:  # and what is inside it, in its turn
        kind = type(item)
        if kind is ast.Name:
            if type(item.ctx) is not ast.Load:  # type: ignore[attr-defined]
                names.add(item.id)  # type: ignore[attr-defined]
            continue
        if kind not in _BINDING:
            found += children(item)
            continue
        match item:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(item.name)
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                names |= {n.target.id for n in walk(item) if isinstance(n, ast.NamedExpr)}
                continue
            case ast.alias():
                names.add(item.asname or item.name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                names.add(name)
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names.add(name)
            case _:
                pass
        found += children(item)
    return names
