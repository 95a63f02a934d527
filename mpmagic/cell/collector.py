"""Effects as they are noted, each under the name of the cell's scope that it belongs to.

A name of an inner scope (of a comprehension, a lambda, a function) is that scope's own and isn't
noted; a mutation through it counts for the outer names that its value is taken from. What a
function's body reads is read when the function is called.
"""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.attribute import function_behind
from mpmagic.cell.effects import Effects, FunctionSummary, Mutation, Refusal
from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.paths import root_of, roots_of
from mpmagic.cell.processwide import stores_taken_back_by
from mpmagic.cell.syntax import brief, walk

__all__ = ["Collector", "own_names", "parameters_of", "type_parameters_of"]

_DISPLAYS: Final = (ast.List, ast.Dict, ast.Set, ast.Tuple)


class Collector:
    """Notes effects while nodes are visited.

    Parameters
    ----------
    knowledge
        What names stand for.
    summarise
        Gives the effects of calling a function or class of the notebook, by name or object;
        None for anything else.

    Attributes
    ----------
    effects
        What has been noted.
    """

    def __init__(
        self, knowledge: Knowledge, summarise: Callable[[Any], FunctionSummary | None]
    ) -> None:
        self.knowledge = knowledge
        self._summarise = summarise
        self.effects = Effects()
        self._scopes: list[dict[str, _Local]] = []
        self._deferred = 0

    def begin(self) -> None:
        """Forget what has been noted."""
        self.effects = Effects()

    def summarise(self, callee: Any) -> FunctionSummary | None:
        """What calling `callee` does, if the notebook defines it; noted as hidden from sight."""
        summary = self._summarise(callee)
        if summary is not None:
            self.effects.hidden |= summary.effects.touched()
        return summary

    def summary_of_function(self, name: str) -> FunctionSummary | None:
        """What calling a function of the notebook does that a name stands for, if it's one."""
        if self.knowledge.is_hidden(name):
            return self._summarise(name) if name in self.knowledge.definitions else None
        value = self.knowledge.value(name)
        is_function = isinstance(value, types.FunctionType | functools.partial)
        return self._summarise(value) if is_function else None

    def summary_of_member(self, node: ast.Attribute) -> FunctionSummary | None:
        """The same of an attribute: a method, or a function of a class."""
        member = function_behind(self.knowledge.resolve(node))
        if isinstance(member, types.FunctionType):
            return self._summarise(member)
        return self._summarise((self.knowledge.type_of(node.value), node.attr))

    def owns(self, name: str) -> bool:
        """Whether a name belongs to an inner scope, not to the cell."""
        return bool(self._scopes) and any(name in scope for scope in self._scopes)

    def read(self, name: str, line: int) -> None:
        """Note that a name is loaded."""
        if not self.owns(name):
            self.effects.reads.setdefault(name, line)
            if self._deferred:
                self.effects.late.add(name)

    def bind(self, name: str, line: int) -> None:
        """Note that a name is bound."""
        if not self.owns(name):
            self.effects.binds.setdefault(name, line)

    def mutate(
        self, name: str | None, node: ast.AST, *, shallow: bool = False, augments: bool = False
    ) -> None:
        """Note that `node` may change an object that a name leads to."""
        mutation = Mutation(node, shallow, augments)
        for outer in self.outer({name} if name is not None else set(), whole=not shallow):
            known = self.effects.mutates.get(outer)
            less = known is not None and (known.shallow > shallow or known.augments > augments)
            if known is None or less:
                self.effects.mutates[outer] = mutation
            if tables.is_process_state(self.knowledge.value(outer)) and self._stores(node, outer):
                reason = (
                    "it changes state of the process, which what the work calls may read unseen"
                )
                self.refuse(mutation.line, brief(node), reason, self._taken_back_by(node, outer))

    def _taken_back_by(self, node: ast.AST, name: str) -> frozenset[str]:
        """The managers that take such a change back."""
        match node:
            case ast.Call(func=ast.Attribute(value=changed)) | ast.Subscript(value=changed):
                return stores_taken_back_by(self.knowledge.resolve(changed))
            case _:
                return stores_taken_back_by(self.knowledge.value(name))

    def _stores(self, node: ast.AST, name: str) -> bool:
        """Whether this changes more than an object that `name`, a module, merely holds."""
        match node:
            case ast.Call(func=ast.Attribute(value=receiver)) if root_of(receiver) == name:
                held = self.knowledge.resolve(receiver)
                return isinstance(held, list | dict | set) or tables.is_process_state(held)
            case _:
                return True

    def count(self, name: str, locks: frozenset[int], line: int) -> None:
        """Note that something is added to a shared integer while these locks are held."""
        self.read(name, line)
        self.effects.counts[name] = self.effects.counts.get(name, locks) & locks

    def outer(self, names: Iterable[str], *, whole: bool = True) -> set[str]:
        """The names of the cell's scope from which those of inner scopes take their values.

        Parameters
        ----------
        names
            Names of any scope.
        whole
            Whether what their values hold counts too: ``[n]`` holds what ``n`` stands for.
        """
        outer: set[str] = set()
        for name in names:
            scope = next((s for s in reversed(self._scopes) if name in s), None)
            outer |= {name} if scope is None else scope[name].roots(whole=whole)
        return outer

    def is_builtin(self, name: str) -> bool:
        """Whether a name stands for the builtin: nothing hides it."""
        if self.owns(name):
            return False
        return name == "get_ipython" or (
            not self.knowledge.is_hidden(name) and name not in self.knowledge.namespace
        )

    def alias(self, target: ast.AST, value: ast.expr, *, part: bool = False) -> None:
        """Note that the names of `target` get (a part of) what `value` gives.

        Parameters
        ----------
        target, value
            What is bound, and to what.
        part
            Whether it's but a part: ``for`` gives those that a list holds, not the list.
        """
        roots = self.outer(roots_of(value, self.knowledge))
        own = self._own_roots(target, value, part=part)
        for name in bound_names(target) if roots or own else ():
            scope = next((s for s in reversed(self._scopes) if name in s), None)
            if scope is None:
                self.effects.aliases.setdefault(name, set()).update(roots - {name})
            else:
                scope[name].take(own - {name}, (roots | own) - {name})

    def _own_roots(self, target: ast.AST, value: ast.expr, *, part: bool) -> set[str]:
        """The outer names whose object a local name of the target may get itself."""
        if not part and isinstance(target, ast.Name):
            if isinstance(value, _DISPLAYS):
                return set()
            if isinstance(value, ast.Name):
                return self.outer({value.id}, whole=False)
        return self.outer(roots_of(value, self.knowledge) | self.holding(value))

    def holding(self, value: ast.expr) -> set[str]:
        """Local names in an expression whose own lists may be what it takes its value out of."""
        named = {n.id for n in walk(value) if isinstance(n, ast.Name) and self.owns(n.id)}
        return {n for n in named if self.outer({n}) != self.outer({n}, whole=False)}

    def refuse(
        self, line: int, name: str, reason: str, taken_back_by: frozenset[str] = frozenset()
    ) -> None:
        """Note a place that no split can be right for."""
        self.effects.refusals.append(Refusal(line, name, reason, taken_back_by))

    # -- inner scopes --------------------------------------------------------------------------

    @property
    def is_inside(self) -> bool:
        """Whether an inner scope is being visited."""
        return bool(self._scopes)

    @contextmanager
    def scope(
        self, names: Iterable[str], *, deferred: bool = False, parameters: Iterable[str] = ()
    ) -> Iterator[None]:
        """Visit an inner scope with names of its own; what a parameter ``p`` gets is ``p()``'s."""
        own = {name: _Local(set(), set()) for name in names}
        given = {p: _Local({f"{p}()"}, {f"{p}()"}) for p in parameters}
        self._scopes.append(own | given)
        self._deferred += deferred
        yield
        self._deferred -= deferred
        self._scopes.pop()


class _Local(NamedTuple):
    """A name of an inner scope.

    Attributes
    ----------
    own
        Outer names whose object it may stand for, or a part of it.
    held
        Those, and the ones whose object its own may hold.
    """

    own: set[str]
    held: set[str]

    def roots(self, *, whole: bool) -> set[str]:
        return self.held if whole else self.own

    def take(self, own: set[str], held: set[str]) -> None:
        """Note what it stands for besides."""
        self.own.update(own)
        self.held.update(held)


def parameters_of(arguments: ast.arguments) -> set[str]:
    """The names of a function's parameters."""
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    rest = (arguments.vararg, arguments.kwarg)
    return {a.arg for a in every} | {a.arg for a in rest if a is not None}


def own_names(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """The local names of a function, its parameters included."""
    if isinstance(node, ast.Lambda):
        return parameters_of(node.args)
    bound = {name for statement in node.body for name in bound_names(statement)}
    own = parameters_of(node.args) | type_parameters_of(node)
    return own | (bound - _declared_global(node))


def type_parameters_of(node: ast.AST) -> set[str]:
    """The names of the type parameters of a function, class or alias, from Python 3.12 on."""
    return {parameter.name for parameter in getattr(node, "type_params", ())}


def _declared_global(node: ast.AST) -> set[str]:
    return {n for child in walk(node) if isinstance(child, ast.Global) for n in child.names}
