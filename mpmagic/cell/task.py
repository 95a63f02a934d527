"""One statement ``name = call(...)`` outside of loops: whether others may run beside it.

Three kinds. *Work* goes to a worker. A *light* call (`len(a)`, `dict()`) isn't worth sending: it
runs in the kernel, at its place, and nobody waits for it who doesn't read what it binds. All else
is a *barrier*: what stands before it is done before it begins, what follows begins after it.
"""

from __future__ import annotations

import ast
import collections
import enum
import inspect
import io
import types
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.attribute import attribute
from mpmagic.cell.dependence import Allowances
from mpmagic.cell.effects import FIGURE, Effects
from mpmagic.cell.functions import Summaries, unwrapped
from mpmagic.cell.knowledge import UNKNOWN, Knowledge, bound_names
from mpmagic.cell.outside import callee_name, outside_effect
from mpmagic.cell.paths import root_of
from mpmagic.cell.scanner import Scanner
from mpmagic.cell.syntax import walk

__all__ = ["Ahead", "Kind", "Task", "is_assigned_call", "task_of"]

# Their results live where they were made: files, connections, locks, lazy iterators.
_BOUND_MODULES: Final = frozenset(
    {"threading", "_thread", "socket", "_socket", "sqlite3", "_sqlite3", "asyncio", "weakref",
     "_weakref", "tempfile", "queue", "_queue", "contextvars", "mmap", "selectors", "signal",
     "logging", "multiprocessing", "contextlib", "itertools", "io", "_io", "concurrent", "ctypes"}
)  # fmt: skip
_BOUND_CALLS: Final = frozenset({"open", "connect", "cursor", "Popen", "urlopen"})
_LAZY_BUILTINS: Final = frozenset(
    {"memoryview", "iter", "map", "filter", "zip", "enumerate", "reversed", "super"}
)  # fmt: skip
_LAZY_METHODS: Final = frozenset(
    {"match", "fullmatch", "finditer", "glob", "rglob", "iglob", "iterdir", "scandir", "iterrows",
     "itertuples"}
)  # fmt: skip
# Methods that change their receiver, whatever its type is called, and give something back.
_CHANGING: Final = frozenset(
    {"fit", "fit_transform", "fit_predict", "partial_fit", "train", "pop", "popitem", "popleft",
     "setdefault", "readline", "readlines", "recv", "fetchone", "fetchmany", "fetchall", "send"}
)  # fmt: skip
_CONTAINERS: Final = (collections.Counter, collections.defaultdict, collections.deque,
                      collections.OrderedDict)  # fmt: skip
_LAZY: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Kind(enum.Enum):
    """Where a call runs, and who waits for it."""

    WORK = "work"
    LIGHT = "light"
    BARRIER = "barrier"


class Task(NamedTuple):
    """A statement that binds the result of a call.

    Attributes
    ----------
    node
        The statement.
    kind
        Its kind.
    effects
        What it reads, binds and mutates.
    why
        For a barrier, the reason.
    """

    node: ast.Assign
    kind: Kind
    effects: Effects
    why: str = ""

    @property
    def binds(self) -> set[str]:
        """Names that it binds."""
        return bound_names(self.node.targets[0])

    def calls_through(self, names: Collection[str]) -> bool:
        """Whether what it calls can't be told before these names are known."""
        calls = (n for n in walk(self.node.value) if isinstance(n, ast.Call))
        return any(root_of(call.func) in names for call in calls)


class Ahead(Knowledge):
    """What names stand for at a statement, before those in front of it are bound.

    Parameters
    ----------
    namespace
        The user's namespace.
    ready
        Values that statements in front of it have given and that aren't bound yet.
    unready
        Names that statements in front of it will bind.
    """

    def __init__(
        self, namespace: Mapping[str, Any], ready: Mapping[str, Any], unready: Collection[str]
    ) -> None:
        super().__init__(namespace, unready)
        self._ready = ready

    def value(self, name: str) -> Any:
        """What `name` will be bound to when the statement's turn comes, or `UNKNOWN`."""
        if name in self._ready and not self.is_hidden(name):
            return self._ready[name]
        return super().value(name)


def is_assigned_call(node: ast.stmt) -> bool:
    """Whether a statement has the form ``name = call(...)`` or ``a, b = call(...)``."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    target = node.targets[0]
    names = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return isinstance(node.value, ast.Call) and all(isinstance(n, ast.Name) for n in names)


def task_of(node: ast.stmt, knowledge: Knowledge, allowances: Allowances) -> Task | None:
    """The statement as a task; None if it hasn't the form of one.

    Parameters
    ----------
    node
        The statement.
    knowledge
        What names stand for when it is reached.
    allowances
        What the user allows.
    """
    if not is_assigned_call(node):
        return None
    assert isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    effects = Scanner(knowledge, Summaries(knowledge)).scan([node])
    why = _hindrance(node, effects, knowledge, allowances)
    if why:
        return Task(node, Kind.BARRIER, effects, why)
    kind = Kind.LIGHT if _is_light(node.value, knowledge) else Kind.WORK
    return Task(node, kind, effects)


def _hindrance(
    node: ast.Assign, effects: Effects, knowledge: Knowledge, allowances: Allowances
) -> str:
    """Why the statement is a barrier; empty if it isn't."""
    for refusal in effects.refusals:
        return refusal.reason
    for reason in effects.kernel_only.values():
        return reason
    if effects.draws and not allowances.seeded:
        return (
            f"`{effects.draws[0].text}` draws from a stream of random numbers that others share; "
            f"hand in a generator of its own, or use `--seed N`"
        )
    if FIGURE in effects.touched() or effects.closes_all:
        return f"it touches {FIGURE}"
    for name in effects.mutates.keys() - allowances.local:
        return f"it changes `{name}`"
    for name in effects.binds.keys() - bound_names(node.targets[0]):
        return f"it binds `{name}` too"
    assert isinstance(node.value, ast.Call)
    return (
        _bound_to_process(node.value, knowledge)
        or _hands_out(node.value, effects, knowledge, allowances)
        or outside_effect(node.value, knowledge)
    )


def _bound_to_process(call: ast.Call, knowledge: Knowledge) -> str:
    """Whether the result can't leave the process that made it."""
    callee, name = unwrapped(knowledge.resolve(call.func)), callee_name(call)
    module = str(attribute(callee, "__module__", "") or "").partition(".")[0]
    known = isinstance(callee, types.FunctionType) and callee.__globals__ is knowledge.namespace
    own = known or name in knowledge.definitions
    lazy = name in (_LAZY_BUILTINS if isinstance(call.func, ast.Name) else _LAZY_METHODS)
    if not own and (lazy or name in _BOUND_CALLS or module in _BOUND_MODULES):
        return f"what `{ast.unparse(call.func)}` gives lives where it was made"
    if own and _is_lazy(callee, knowledge.definitions.get(name)):
        return f"`{name}` gives an iterator or a coroutine, which lives where it was made"
    return ""


def _is_lazy(callee: Any, defined: ast.FunctionDef | None) -> bool:
    if defined is not None:
        return any(isinstance(n, ast.Yield | ast.YieldFrom) for n in walk(defined))
    return bool(callee.__code__.co_flags & _LAZY)


def _hands_out(
    call: ast.Call, effects: Effects, knowledge: Knowledge, allowances: Allowances
) -> str:
    """Whether it is given, or changes, something that a copy can't stand for."""
    func = call.func
    for keyword in call.keywords:
        off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
        if keyword.arg in ("out", "inplace") and not off:
            return f"`{keyword.arg}=` changes what it is handed"
    method = knowledge.resolve(func)
    if isinstance(method, types.BuiltinFunctionType) and isinstance(func, ast.Name):
        if tables.mutates(type(method.__self__), method.__name__, statement=False):
            return f"`{func.id}` may change the object whose method it is"
    if isinstance(func, ast.Attribute) and root_of(func.value) in effects.reads:
        kind, name = knowledge.type_of(func.value), root_of(func.value)
        if tables.accessors(kind, func.attr):
            return f"`{ast.unparse(func)}` hands out a part of `{name}`"
        library = isinstance(knowledge.resolve(func.value), types.ModuleType | type)
        changing = not library and (
            func.attr in _CHANGING or (kind is None and _changes_itself(func.attr, knowledge))
        )
        if changing and not tables.is_immutable_type(kind) and name not in allowances.local:
            return f"`{ast.unparse(func)}` may change `{name}`"
    for name in sorted(effects.reads.keys() - allowances.local):
        kind = knowledge.type_of(ast.Name(id=name, ctx=ast.Load()))
        if kind is not None and _moves_on(kind):
            return f"`{name}` is a {kind.__name__}, which moves on when it is used"
    return ""


def _changes_itself(method: str, knowledge: Knowledge) -> bool:
    """Whether a class of the notebook has a method of that name which changes its receiver."""
    scan = Summaries(knowledge)
    named = [v for n, v in knowledge.namespace.items() if not knowledge.is_hidden(n)]
    kinds = {v for v in named if isinstance(v, type) and v.__module__ == "__main__"}
    found = [summary for kind in kinds if (summary := scan((kind, method))) is not None]
    defined = [
        Scanner(knowledge, scan).scan_function(node).mutates.keys() & {f"{node.args.args[0].arg}()"}
        for kind in knowledge.classes.values()
        for node in kind.body
        if isinstance(node, ast.FunctionDef) and node.name == method and node.args.args
    ]
    return any(defined) or any(0 in summary.mutated_parameters for summary in found)


def _moves_on(kind: type) -> bool:
    draws = tables.method_draws(kind, "random")
    return draws or hasattr(kind, "__next__") or issubclass(kind, io.IOBase)


def _is_light(call: ast.Call, knowledge: Knowledge) -> bool:
    """Whether sending it would cost more than running it."""
    callee = knowledge.resolve(call.func)
    parts = [*call.args, *(k.value for k in call.keywords)]
    simple = not any(isinstance(n, ast.Call | ast.Lambda) for p in parts for n in walk(p))
    if callee is UNKNOWN or not simple or any(k.arg == "key" for k in call.keywords):
        return False
    if isinstance(callee, type) and callee.__module__ != "__main__":
        if callee in _CONTAINERS or tables.is_immutable_type(callee):
            return True
    return tables.never_mutates_arguments(callee) and callee is not print
