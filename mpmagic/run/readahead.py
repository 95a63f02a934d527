"""Whether the body of a loop, or what follows it, could see that items are taken ahead."""

from __future__ import annotations

import ast
import functools
import gc
import itertools
import types
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mpmagic.cell.dependence import Dependence
from mpmagic.cell.effects import FunctionSummary
from mpmagic.cell.functions import Summaries, global_names
from mpmagic.cell.iterable import only_labels_bar
from mpmagic.cell.jumps import breaks_of
from mpmagic.cell.syntax import walk
from mpmagic.heaptypes import is_heap_type
from mpmagic.run.alias import Aliases
from mpmagic.run.watch import is_inert, is_of_library

__all__ = ["Upstream", "seen_ahead"]

_ITERATING: Final = ("__iter__", "__next__", "__getitem__", "__call__")
_MOST_LOOKED_AT: Final = 1000


def seen_ahead(loop: ast.For, dependence: Dependence, namespace: dict[str, Any]) -> str:
    """Why a loop over an iterator of the notebook's stays in the kernel; empty if it needn't.

    Parameters
    ----------
    loop, dependence
        The loop.
    namespace
        The notebook's.
    """
    names = {n.id for n in walk(loop.iter) if isinstance(n, ast.Name)} & namespace.keys()
    iterators = {name for name in names if hasattr(type(namespace[name]), "__next__")}
    if iterators and breaks_of(loop.body):
        return f"a `break` leaves `{min(iterators)}` where the serial loop would"
    nodes = [node for statement in loop.body for node in walk(statement)]
    stepped = {id(a) for n in nodes if isinstance(n, ast.Call) and _is_next(n) for a in n.args}
    spelt = {n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in stepped}
    bars = {name for name in names if _is_bar(namespace[name])}
    used = (iterators | {n for n in bars if not only_labels_bar(n, dependence)}) & spelt
    return f"its body uses `{min(used)}`, from which items are taken ahead" if used else ""


class Upstream:
    """What an iterable's code reads and changes, and that of the functions that it calls.

    It may be an object of the notebook's, or a generator, a `map` or a bar that was made before the
    loop: what it gives depends then on how far the loop has come.

    Attributes
    ----------
    names
        Globals.
    bound
        Those that it binds itself.
    changed
        Globals that it binds, or whose object it may change.
    held
        Identities of what the variables, closures and arguments of the notebook's code hold;
        values that can't change apart. What only a library's iterators hold is looked at elsewhere:
        they may come to each slot once.
    """

    def __init__(self, iterable: Any, namespace: dict[str, Any], summaries: Summaries) -> None:
        self.names, self.bound, self.held = set[str](), set[str](), set[int]()
        self.changed, self._changed = set[str](), list[tuple[Any, bool]]()
        self._summaries = summaries
        kind = type(iterable)
        has_code = hasattr(kind, "__next__") or is_heap_type(kind)
        self._seen, self._open = set[int](), deque[Any]([iterable] if has_code else ())
        while self._open and len(self._seen) < _MOST_LOOKED_AT:
            value = self._open.popleft()
            if id(value) not in self._seen:
                self._seen.add(id(value))
                self._look_at(value, namespace)

    def reads(self, dependence: Dependence, namespace: dict[str, Any]) -> str:
        """The name of what is read and the loop changes, or empty."""
        changed = dependence.kernel.keys()
        held = {n for n in changed & namespace.keys() if id(namespace[n]) in self.held}
        return min((self.names & changed) | held, default="")

    def changes(self, touched: Iterable[str], namespace: dict[str, Any]) -> str:
        """Which of the names that a loop touches its code may change the object of, or empty.

        Items are taken ahead: the loop would see what later ones have left.
        """
        if shown := self.changed & set(touched):
            return min(shown)
        aliases = Aliases({name: namespace[name] for name in namespace.keys() & touched}, ())
        changed = [(namespace[n], True) for n in self.changed & namespace.keys()] + self._changed
        shared = (aliases.shared_with(value, deep=deep) for value, deep in changed)
        return next(filter(None, shared), "")

    def _note_changes(
        self, code: types.CodeType, summary: FunctionSummary | None, held: Mapping[Any, Any]
    ) -> None:
        """Note what code changes, given what its variables hold."""
        if summary is None or summary.changes_itself:
            self._changed += [(value, True) for value in held.values()]
        if summary is None:
            return
        self.changed |= summary.effects.mutates.keys() | summary.effects.binds.keys()
        own = code.co_varnames[:1]
        for name, value in held.items():
            if name in summary.mutated:
                first = name == 0 or name in own
                deep = not (first and self._summaries.only_binds_attributes(code))
                self._changed.append((value, deep))

    def _look_at(self, value: Any, namespace: dict[str, Any]) -> None:
        if isinstance(value, types.GeneratorType):
            frame = value.gi_frame
            if frame is not None:
                if frame.f_globals is namespace:
                    self._load(value.gi_code, namespace)
                    self._hold(frame.f_locals.values())
                    code = value.gi_code
                    self._note_changes(code, self._summaries.of_code(code), frame.f_locals)
                else:
                    self._look_behind(frame.f_locals.values())
        elif isinstance(value, types.FunctionType):
            if value.__globals__ is namespace:
                self._load(value.__code__, namespace)
                closed = gc.get_referents(*(value.__closure__ or ()))
                self._hold(closed)
                inside = dict(enumerate(closed, -len(closed)))
                self._note_changes(value.__code__, self._summaries(value), inside)
                self._hold([*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()])
        elif isinstance(value, types.MethodType):
            self._hold([value.__self__, value.__func__])
            function: Any = value.__func__
            if getattr(function, "__globals__", None) is namespace:
                self._note_changes(
                    function.__code__, self._summaries(function), {0: value.__self__}
                )
        elif isinstance(value, functools.partial):
            self._hold([value.func, *value.args, *value.keywords.values()])
        elif not isinstance(value, type | types.ModuleType):
            self._look_into(value)

    def _look_into(self, value: Any) -> None:
        kind = type(value)
        if _is_bar(value):  # whatever else it holds leads to the notebook's output
            self._open.append(value.iterable)
            return
        if not is_of_library(kind):
            methods = [getattr(kind, name, None) for name in _ITERATING]
            self._open.extend(methods)
            for method in methods:
                if isinstance(method, types.FunctionType):
                    self._note_changes(method.__code__, self._summaries(method), {0: value})
        if kind is tuple or hasattr(kind, "__next__"):  # `zip` keeps its iterators in a tuple
            self._look_behind(gc.get_referents(value))
        self._look_behind(getattr(value, "__dict__", {}).values())

    def _load(self, code: types.CodeType, namespace: dict[str, Any]) -> None:
        names, bound = global_names(code)
        self.names |= names
        self.bound |= bound
        called = (namespace.get(name) for name in names)
        self._open.extend(value for value in called if isinstance(value, types.FunctionType))

    def _hold(self, values: Iterable[Any]) -> None:
        self.held.update(map(id, self._look_behind(values)))

    def _look_behind(self, values: Iterable[Any]) -> list[Any]:
        first = itertools.islice(values, _MOST_LOOKED_AT)
        changeable = [value for value in first if not is_inert(value)]
        self._open.extend(changeable)
        return changeable


def _is_next(call: ast.Call) -> bool:
    """Whether it steps an iterator, which is looked at elsewhere."""
    return isinstance(call.func, ast.Name) and call.func.id == "next"


def _is_bar(value: Any) -> bool:
    """Whether it's a bar of tqdm's, which shows how many items were taken."""
    return hasattr(type(value), "set_postfix")
