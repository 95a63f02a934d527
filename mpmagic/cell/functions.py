"""What the notebook's own functions do to its globals, through all that they call.

A function is read from its source, which the notebook keeps (`linecache`); where there is none,
its bytecode still tells which globals it loads and stores. What a summary misses, a mutation
hidden in a library, is found at run time.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import linecache
import types
from collections.abc import Sequence, Set
from typing import Any, Final

from mpmagic.cell.attribute import attribute, function_behind
from mpmagic.cell.closing import closes_its_own
from mpmagic.cell.compiled import warnings_kept
from mpmagic.cell.effects import FIGURE, Effects, FunctionSummary
from mpmagic.cell.knowledge import UNKNOWN, Knowledge
from mpmagic.cell.owncopy import without_bound_attributes, without_own_changes
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.syntax import walk
from mpmagic.heaptypes import is_heap_type

__all__ = ["Summaries", "global_names"]

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_EMPTY: Final = FunctionSummary(Effects())
# The last one is what annotations in a class, and what is made of them later, load names with.
_LOADING: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_STORING_CELLS: Final = frozenset({"STORE_DEREF", "DELETE_DEREF"})
_CONSTRUCTION: Final = ("__new__", "__init__", "__post_init__", "__init_subclass__")


class Summaries:
    """The summaries of the functions, classes and methods of one notebook.

    Parameters
    ----------
    knowledge
        What the notebook's names stand for.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._done: dict[Any, FunctionSummary | None] = {}
        self._under_way: list[Any] = []
        self._cut_short = False
        self._classes: list[type] | None = None

    def __call__(self, callee: Any) -> FunctionSummary | None:
        """The summary of a callee, None if the notebook doesn't define it.

        Parameters
        ----------
        callee
            A callable; a name that the cell defines; or a pair of the receiver's type (None if
            it isn't known) and the method's name.
        """
        # Exactly those: an instance of a named tuple of the notebook's may be called.
        key = callee if type(callee) in (str, tuple) else id(callee)
        if key in self._done:
            return self._done[key]
        if key in self._under_way:
            self._cut_short = True
            return _EMPTY
        self._under_way.append(key)
        summary = self._summarise(callee)
        self._under_way.pop()
        # Inside a cycle of calls only the outermost summary is whole.
        if not self._cut_short or not self._under_way:
            self._done[key] = summary
        if not self._under_way:
            self._cut_short = False
        return summary

    def of_code(self, code: types.CodeType) -> FunctionSummary | None:
        """The summary of code of the notebook's; None if its source isn't kept."""
        node = node_of(code)
        if isinstance(node, ast.GeneratorExp):
            effects = Scanner(self._knowledge, self).scan([node])
            return FunctionSummary(effects, (), frozenset(effects.mutates))
        return None if node is None else self._scan(node, frozenset(code.co_freevars))

    def only_binds_attributes(self, code: types.CodeType) -> bool:
        """Whether a method, or a generator made by one, changes no more of its object than that."""
        node = node_of(code)
        if not isinstance(node, ast.FunctionDef) or not node.args.args:
            return False
        name = node.args.args[0].arg
        left = without_bound_attributes(node, name)
        effects = Scanner(self._knowledge, self).scan_function(left, frozenset(code.co_freevars))
        return f"{name}()" not in effects.mutates

    def of_name(self, name: str) -> FunctionSummary | None:
        """The summary of what a name stands for, None if that isn't a callable of the notebook."""
        if self._knowledge.is_hidden(name):
            return self(name)
        value = self._knowledge.value(name)
        known = value is not UNKNOWN and isinstance(value, types.FunctionType | functools.partial)
        return self(value) if known else None

    def _summarise(self, callee: Any) -> FunctionSummary | None:
        if type(callee) is str:
            return self._defined_by_cell(callee)
        if type(callee) is tuple:
            return self._method(*callee)
        around, callee = callee, unwrapped(callee)
        if around is not callee and isinstance(around, types.FunctionType):
            if self._of_notebook(around):  # what a decorator has made runs code of its own
                return _union([self._function(around), self(callee)])
        if isinstance(callee, types.MethodType):
            return _bound(self(callee.__func__))
        if isinstance(callee, types.FunctionType):
            return self._function(callee) if self._of_notebook(callee) else None
        if isinstance(callee, type):
            return self._construction(callee) if self._is_notebook_class(callee) else None
        return _bound(self._method(type(callee), "__call__"))

    def _of_notebook(self, function: types.FunctionType) -> bool:
        return function.__globals__ is self._knowledge.namespace

    def _is_notebook_class(self, kind: type) -> bool:
        if not is_heap_type(kind):
            return False
        # Its methods live in the notebook; its name needn't.
        return kind.__module__ == "__main__" or any(
            isinstance(f, types.FunctionType) and self._of_notebook(f) for f in vars(kind).values()
        )

    def _defined_by_cell(self, name: str) -> FunctionSummary | None:
        function = self._knowledge.definitions.get(name)
        if function is not None:
            return self._scan(function)
        kind = self._knowledge.classes.get(name)
        if kind is None:
            return None
        methods = [s for s in kind.body if isinstance(s, ast.FunctionDef)]
        return _union([_bound(self._scan(m)) for m in methods if m.name in _CONSTRUCTION])

    def _construction(self, kind: type) -> FunctionSummary | None:
        methods = [vars(base).get(name) for base in kind.__mro__ for name in _CONSTRUCTION]
        functions = map(function_behind, methods)
        return _union([_bound(self(f)) for f in functions if isinstance(f, types.FunctionType)])

    def _method(self, kind: type | None, name: str) -> FunctionSummary | None:
        if kind is not None:
            if not self._is_notebook_class(kind):
                return None
            return self._attribute(kind, name)
        known = self._methods_called(name)
        # Of a receiver of unknown type only what the notebook's globals would suffer counts.
        return FunctionSummary(_union(known).effects) if known else None

    def may_change_receiver(self, name: str) -> bool:
        """Whether a class of the notebook has a method of that name which changes its receiver."""
        return any(0 in summary.mutated_parameters for summary in self._methods_called(name))

    def _methods_called(self, name: str) -> list[FunctionSummary]:
        """The summaries of the methods of that name, of whatever class of the notebook."""
        found = [self._attribute(k, name) for k in self._notebook_classes()]
        cell = [
            self._scan(method)
            for node in self._knowledge.classes.values()
            for method in node.body
            if isinstance(method, ast.FunctionDef) and method.name == name
        ]
        return [s for s in (*found, *cell) if s is not None]

    def _attribute(self, kind: type, name: str) -> FunctionSummary | None:
        for base in kind.__mro__:
            if name in vars(base):
                member = vars(base)[name]
                function = function_behind(member)
                summary = self(function) if callable(function) else None
                return _unbound(summary) if isinstance(member, staticmethod) else summary
        return None

    def _notebook_classes(self) -> list[type]:
        if self._classes is None:
            names = [n for n in self._knowledge.namespace if not self._knowledge.is_hidden(n)]
            values = [self._knowledge.value(n) for n in names]
            self._classes = [
                v for v in values if isinstance(v, type) and v.__module__ == "__main__"
            ]
        return self._classes

    def _function(self, function: types.FunctionType) -> FunctionSummary:
        code, closed = function.__code__, closed_over(function)
        node = source_of(code)
        if node is None:
            summary = FunctionSummary(self._from_bytecode(code))
        else:
            summary = self._scan(node, closed.keys())
        if binds_closed(code, closed.keys()):
            summary = summary._replace(changes_itself=True)
        called = [value for value in closed.values() if callable(value)]  # for all that is known
        return _union([summary, *map(self, called)]) if called else summary

    def _scan(self, node: _FunctionNode, closed: Set[str] = frozenset()) -> FunctionSummary:
        scanner = Scanner(self._knowledge, self)
        effects = scanner.scan_function(node, closed)
        if FIGURE in effects.touched() and not isinstance(node, ast.Lambda):
            if closes_its_own(node.body, scanner.touches):
                effects.forget(FIGURE)
        parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        keyword = [a.arg for a in node.args.kwonlyargs]
        mutated = {p for p in (*parameters, *keyword) if f"{p}()" in effects.mutates}
        mutated = {p for p in mutated if not self._changes_own_copy(node, p)}
        augmented = {p for p in mutated if effects.mutates[f"{p}()"].augments}
        changes_itself = any(f"{name}()" in effects.mutates for name in closed)
        effects.mutates = {n: m for n, m in effects.mutates.items() if not n.endswith("()")}
        effects.aliases.clear()
        effects.late.clear()
        positions = tuple(i for i, p in enumerate(parameters) if p in mutated)
        by_position = {i for i in positions if parameters[i] in augmented}
        by_name = frozenset(augmented | by_position)
        return FunctionSummary(effects, positions, frozenset(mutated), by_name, changes_itself)

    def _changes_own_copy(self, node: _FunctionNode, name: str) -> bool:
        if not isinstance(node, ast.FunctionDef) or self._methods_called("copy"):
            return False  # a class of the notebook may take that for something else
        left = without_own_changes(node, name, self._knowledge)
        if left is None:
            return False
        return f"{name}()" not in Scanner(self._knowledge, self).scan_function(left).mutates

    def _from_bytecode(self, code: types.CodeType) -> Effects:
        loaded, stored = global_names(code)
        effects = Effects()
        effects.reads = dict.fromkeys(sorted(loaded), code.co_firstlineno)
        effects.binds = dict.fromkeys(sorted(stored), code.co_firstlineno)
        for name in sorted(loaded):
            value = self._knowledge.value(name)
            if value is not UNKNOWN and callable(value):
                summary = self(value)
                if summary is not None:
                    effects.absorb(summary.effects)
        return effects


def unwrapped(callee: Any) -> Any:
    """The function inside `functools.partial`, `lru_cache` and other wrappers."""
    while True:
        if isinstance(callee, functools.partial):
            callee = callee.func
        elif isinstance(attribute(callee, "__wrapped__"), types.FunctionType):
            callee = callee.__wrapped__
        else:
            return callee


def _bound(summary: FunctionSummary | None) -> FunctionSummary | None:
    """The summary of a method that is called without naming its receiver as an argument."""
    if summary is None:
        return None
    positions = tuple(i - 1 for i in summary.mutated_parameters if i > 0)
    return summary._replace(mutated_parameters=positions, augmented=_shifted(summary, -1))


def _unbound(summary: FunctionSummary | None) -> FunctionSummary | None:
    """The summary of a static method: its receiver isn't among its arguments."""
    if summary is None:
        return None
    positions = tuple(i + 1 for i in summary.mutated_parameters)
    return summary._replace(mutated_parameters=positions, augmented=_shifted(summary, 1))


def _shifted(summary: FunctionSummary, by: int) -> frozenset[int | str]:
    return frozenset(p + by if isinstance(p, int) else p for p in summary.augmented)


def _union(summaries: Sequence[FunctionSummary | None]) -> FunctionSummary:
    effects, positions, names = Effects(), set[int](), set[str]()
    for summary in summaries:
        if summary is not None:
            effects.absorb(summary.effects)
            positions |= set(summary.mutated_parameters)
            names |= summary.mutated_names
    itself = any(summary is not None and summary.changes_itself for summary in summaries)
    return FunctionSummary(
        effects, tuple(sorted(positions)), frozenset(names), _augmented(summaries), itself
    )


def _augmented(summaries: Sequence[FunctionSummary | None]) -> frozenset[int | str]:
    """Parameters that none of several functions changes in another way."""
    known = [summary for summary in summaries if summary is not None]
    otherwise = frozenset[int | str]().union(*(s.mutated - s.augmented for s in known))
    return frozenset[int | str]().union(*(s.augmented for s in known)) - otherwise


@functools.lru_cache(maxsize=1024)
def global_names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Globals that code loads, and those that it stores or deletes, inner functions included."""
    loaded: set[str] = set()
    stored: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _LOADING:
            loaded.add(instruction.argval)
        elif instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            stored.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_loaded, inner_stored = global_names(constant)
            loaded |= inner_loaded
            stored |= inner_stored
    return frozenset(loaded), frozenset(stored)


def closed_over(function: types.FunctionType) -> dict[str, Any]:
    """Variables of the function that has made a function, as far as they are bound."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            found[name] = None if name == "__class__" else cell.cell_contents
    return found


def binds_closed(code: types.CodeType, closed: Set[str]) -> bool:
    """Whether code, or code inside it, binds such variables (``nonlocal``)."""
    closed = closed & set(code.co_freevars)
    if not closed:
        return False
    stores = (i.argval for i in dis.get_instructions(code) if i.opname in _STORING_CELLS)
    if not closed.isdisjoint(stores):
        return True
    return any(binds_closed(c, closed) for c in code.co_consts if isinstance(c, types.CodeType))


def source_of(code: types.CodeType) -> _FunctionNode | None:
    """The syntax tree of the function that `code` was compiled from, if its source is kept."""
    node = node_of(code)
    return None if isinstance(node, ast.GeneratorExp) else node


def node_of(code: types.CodeType) -> _FunctionNode | ast.GeneratorExp | None:
    """The same, or that of a generator expression."""
    text = "".join(linecache.getlines(code.co_filename))
    matching = _functions_by_place(text).get((code.co_firstlineno, code.co_name), [])
    # Two lambdas on one line look alike from here: better none than the wrong one.
    return matching[0] if len(matching) == 1 else None


@functools.lru_cache(maxsize=64)
def _functions_by_place(
    text: str,
) -> dict[tuple[int, str], list[_FunctionNode | ast.GeneratorExp]]:
    # A cell of ours is kept with its magic line on top.
    lines = ["" if line.startswith("%") else line for line in text.split("\n")]
    try:
        with warnings_kept():  # given when the cell ran
            tree = ast.parse("\n".join(lines))
    except SyntaxError:
        return {}  # a cell with other syntax of IPython's: the bytecode must do
    places: dict[tuple[int, str], list[_FunctionNode | ast.GeneratorExp]] = {}
    for node in walk(tree):
        if isinstance(node, ast.Lambda):
            places.setdefault((node.lineno, "<lambda>"), []).append(node)
        elif isinstance(node, ast.GeneratorExp):
            places.setdefault((node.lineno, "<genexpr>"), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            places.setdefault((first, node.name), []).append(node)
    return places
