"""What a statement reads, binds and mutates: the facts from which a loop is split.

Names of comprehensions, lambdas and functions inside the statement are their own and don't
appear; what a function of the notebook does to the notebook's globals counts wherever it is
called. State without a name (pyplot's current figure) counts like a name that no source can spell.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import enum
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from mpmagic.cell import tables
from mpmagic.cell.knowledge import UNKNOWN, Knowledge, bound_names, root_of
from mpmagic.cell.syntax import children, walk

__all__ = ["FIGURE", "Effects", "Mutation", "Refusal", "Scanner", "is_paired"]

FIGURE: Final = "pyplot's current figure"

_DYNAMIC: Final = frozenset({"globals", "locals", "vars", "exec", "eval", "get_ipython"})
_KERNEL_ONLY: Final = {
    "id": "an object's id is another one in a worker",
    "hash": "hashes differ between processes",
    "input": "only the kernel can ask",
    "breakpoint": "only the kernel can be debugged",
}
_PROCESS_STATE: Final = frozenset(
    {"posix.chdir", "os.chdir", "posix.umask", "posix.putenv", "warnings.simplefilter",
     "warnings.filterwarnings", "warnings.resetwarnings", "locale.setlocale",
     "sys.setrecursionlimit", "logging.basicConfig", "logging.disable", "random.seed",
     "numpy.seterr", "numpy.set_printoptions", "decimal.setcontext"}
)  # fmt: skip
# The context managers that take such a change back when they are left.
_TAKEN_BACK_BY: Final = {
    "warnings.simplefilter": "warnings.catch_warnings",
    "warnings.filterwarnings": "warnings.catch_warnings",
    "warnings.resetwarnings": "warnings.catch_warnings",
    "numpy.seterr": "numpy.errstate",
    "numpy.set_printoptions": "numpy.printoptions",
    "decimal.setcontext": "decimal.localcontext",
}
_SHOWS: Final = frozenset(
    {"IPython.core.display_functions.display", "IPython.core.display_functions.clear_output"}
)
# Of locks, which are entered but can't travel.
_SYNCHRONISING: Final = frozenset({"_thread", "threading", "multiprocessing.synchronize"})
_NEW_FIGURE: Final = frozenset({"subplots", "figure", "subplot_mosaic"})
_PLOT_METHODS: Final = frozenset({"plot", "hist", "boxplot"})


@dataclass(frozen=True, slots=True)
class Mutation:
    """A place that may change an object that a name leads to.

    Attributes
    ----------
    node
        The place.
    shallow
        Whether it changes no more than the very object that the name is bound to.
    """

    node: ast.AST
    shallow: bool = False

    @property
    def line(self) -> int:
        """The line of the place."""
        return getattr(self.node, "lineno", 0)

    @property
    def text(self) -> str:
        """The source of the place, made only where a message shows it."""
        return _brief(self.node)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A place that no split can be right for, and why.

    Attributes
    ----------
    taken_back_by
        The context manager inside which it would be right, by its qualified name; empty for none.
    """

    line: int
    name: str
    reason: str
    taken_back_by: str = ""


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
    substantial
        Whether there is a call, comprehension or operator: something worth sending.
    late
        Names that a function made here reads when it is called.
    hidden
        Names that functions of the notebook touch which are called here.
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
    substantial: bool = False

    def touched(self) -> set[str]:
        """Every name that is read, bound or mutated."""
        return {*self.reads, *self.binds, *self.mutates}

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
        self.substantial |= other.substantial


class Scanner(ast.NodeVisitor):
    """Collects the effects of nodes that run in the cell's own scope.

    Parameters
    ----------
    knowledge
        What names stand for.
    summarise
        Gives the effects of calling a function or class of the notebook, by name or object;
        None for anything else.
    """

    def __init__(
        self, knowledge: Knowledge, summarise: Callable[[Any], FunctionSummary | None]
    ) -> None:
        self.knowledge = knowledge
        self._summarise = summarise
        self.effects = Effects()
        # For each inner scope its names, and the outer names that their values are taken from.
        self._scopes: list[dict[str, set[str]]] = []
        self._deferred = 0

    def scan(self, nodes: Iterable[ast.AST]) -> Effects:
        """The effects of running `nodes` one after the other."""
        self.effects = Effects()
        for node in nodes:
            self.visit(node)
        return self.effects

    def scan_header(self, node: ast.stmt) -> Effects:
        """The effects of a compound statement without those of its blocks."""
        self.effects = Effects()
        match node:
            case ast.If() | ast.While():
                self.visit(node.test)
            case ast.For():
                self.visit(node.iter)
                self._alias(node.target, node.iter)
                self.visit(node.target)
                self.effects.substantial = True
            case ast.With():
                for item in node.items:
                    self.visit(item)
            case ast.Try() | ast.TryStar():
                for handler in node.handlers:
                    self._visit_handler(handler)
            case ast.Match():
                self._visit_match(node)
            case _:
                self.visit(node)
        return self.effects

    def generic_visit(self, node: ast.AST) -> None:
        """Visit what is inside a node of which no more is known."""
        for child in children(node):
            self.visit(child)

    def summarise(self, callee: Any) -> FunctionSummary | None:
        """What calling `callee` does, if the notebook defines it; noted as hidden from sight."""
        summary = self._summarise(callee)
        if summary is not None:
            self.effects.hidden |= summary.effects.touched()
        return summary

    def visit_Constant(self, node: ast.Constant) -> None:
        """Nothing: it does nothing."""

    # -- names ---------------------------------------------------------------------------------

    def _own(self, name: str) -> bool:
        return bool(self._scopes) and any(name in scope for scope in self._scopes)

    def _read(self, name: str, line: int) -> None:
        if not self._own(name):
            self.effects.reads.setdefault(name, line)
            if self._deferred:
                self.effects.late.add(name)

    def _bind(self, name: str, line: int) -> None:
        if not self._own(name):
            self.effects.binds.setdefault(name, line)

    def _mutate(self, name: str | None, node: ast.AST, *, shallow: bool = False) -> None:
        mutation = Mutation(node, shallow)
        for outer in self._outer({name} if name is not None else set()):
            known = self.effects.mutates.get(outer)
            if known is None or (known.shallow and not shallow):
                self.effects.mutates[outer] = mutation

    def _outer(self, names: Iterable[str]) -> set[str]:
        """The names of the cell's scope from which those of inner scopes take their values."""
        outer: set[str] = set()
        for name in names:
            scope = next((s for s in reversed(self._scopes) if name in s), None)
            outer |= {name} if scope is None else scope[name]
        return outer

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id, node.lineno)
            if node.id in _DYNAMIC and self._is_builtin(node.id):
                reason = f"`{node.id}` reaches names that the source doesn't show"
                self.effects.refusals.append(Refusal(node.lineno, node.id, reason))
        else:
            if isinstance(node.ctx, ast.Del):
                self._read(node.id, node.lineno)
            self._bind(node.id, node.lineno)

    def _is_builtin(self, name: str) -> bool:
        if self._own(name):
            return False
        return name == "get_ipython" or (
            not self.knowledge.is_hidden(name) and name not in self.knowledge.namespace
        )

    # -- stores --------------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            self._store_into(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        self.visit(node.slice)
        if not isinstance(node.ctx, ast.Load):
            self._store_into(node)
        else:
            self.effects.substantial = True

    def _store_into(self, node: ast.expr) -> None:
        root = root_of(node)
        if root is not None:
            assert isinstance(node, ast.Attribute | ast.Subscript)
            self._mutate(root, node, shallow=isinstance(node.value, ast.Name))
            return
        for name in sorted(roots_of(node)):
            self._mutate(name, node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._alias(target, node.value)
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self.effects.substantial = True
        if isinstance(node.target, ast.Name):
            self._read(node.target.id, node.lineno)
            self._bind(node.target.id, node.lineno)
            if not tables.is_immutable_type(self.knowledge.type_of(_loaded(node.target))):
                self._mutate(node.target.id, node, shallow=True)
        else:
            self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if not self._scopes and any(isinstance(n, ast.Call) for n in walk(node.annotation)):
            reason = "its annotation calls something, which a split loop wouldn't"
            self.effects.refusals.append(Refusal(node.lineno, _brief(node.target), reason))
        if node.value is not None:
            self.visit(node.value)
            self._alias(node.target, node.value)
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._alias(node.target, node.value)
        self._bind(node.target.id, node.lineno)

    def _visit_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._alias(node.target, node.iter)
        self.visit(node.target)
        self.effects.substantial = True
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_For(self, node: ast.For) -> None:
        self._visit_for(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self._refuse_await(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self._refuse_await(node)

    def visit_Await(self, node: ast.Await) -> None:
        self._refuse_await(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._refuse_await(node)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._refuse_await(node)
        self.generic_visit(node)

    def _refuse_await(self, node: ast.AST) -> None:
        if self._scopes:
            return  # it belongs to a function that the cell makes or calls
        line = getattr(node, "lineno", 0)
        reason = "`await`, `async` and `yield` can't be split"
        self.effects.refusals.append(Refusal(line, _brief(node), reason))

    def visit_withitem(self, node: ast.withitem) -> None:
        self.visit(node.context_expr)
        if type(self.knowledge.resolve(node.context_expr)).__module__ in _SYNCHRONISING:
            self._mutate(root_of(node.context_expr), node.context_expr)
        if node.optional_vars is not None:
            self._alias(node.optional_vars, node.context_expr)
            self.visit(node.optional_vars)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._visit_handler(node)
        for statement in node.body:
            self.visit(statement)

    def _visit_handler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name:
            self._bind(node.name, node.lineno)

    def visit_Match(self, node: ast.Match) -> None:
        self._visit_match(node)
        for case in node.cases:
            for statement in case.body:
                self.visit(statement)

    def _visit_match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        roots = self._outer(roots_of(node.subject, self.knowledge))
        for case in node.cases:
            for name in sorted(bound_names(case.pattern)):
                self._bind(name, case.pattern.lineno)
                self.effects.aliases.setdefault(name, set()).update(roots)
            self.visit(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.visit(target)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.effects.substantial = True
        for alias in node.names:
            if alias.name == "*":
                reason = "`import *` binds names that the source doesn't show"
                self.effects.refusals.append(Refusal(node.lineno, "*", reason))
            else:
                self._bind(alias.asname or alias.name.partition(".")[0], node.lineno)

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_Global(self, node: ast.Global) -> None:
        """Nothing: at the cell's top level every name is global already."""

    def _alias(self, target: ast.expr, value: ast.expr) -> None:
        if is_paired(target, value):
            assert isinstance(target, ast.Tuple | ast.List)
            assert isinstance(value, ast.Tuple | ast.List)
            for part, its_value in zip(target.elts, value.elts, strict=True):
                self._alias(part, its_value)
            return
        roots = self._outer(roots_of(value, self.knowledge))
        for name in bound_names(target) if roots else ():
            scope = next((s for s in reversed(self._scopes) if name in s), None)
            known = self.effects.aliases.setdefault(name, set()) if scope is None else scope[name]
            known.update(roots - {name})

    # -- expressions ---------------------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.effects.substantial = True
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.effects.substantial = True
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.effects.substantial = True
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.effects.substantial = True
        self.generic_visit(node)
        sides = (node.left, *node.comparators)
        if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops) and not any(
            self._is_singleton(side) for side in sides
        ):
            self.effects.kernel_only[node.lineno] = (
                f"`{_brief(node)}`: a worker has copies, which are never the same object"
            )

    def _is_singleton(self, node: ast.expr) -> bool:
        """Whether it stays the same object on its way to a worker."""
        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id == "type"
        value = self.knowledge.resolve(node)
        if type(value) is object or isinstance(value, enum.Enum):
            return True
        return isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._visit_call(node.value, statement=True)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self._visit_call(node, statement=False)

    def _visit_call(self, node: ast.Call, *, statement: bool) -> None:
        self.effects.substantial = True
        callee = self._callee(node)
        self.visit(node.func)
        for child in (*node.args, *node.keywords):
            self.visit(child)
        if callee is not UNKNOWN:
            self._called(callee, node, statement=statement)
        elif isinstance(node.func, ast.Attribute):
            self._method_called(node.func, node, statement=statement)

    def _callee(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name):
            if self._own(node.func.id):
                return UNKNOWN
            if self.knowledge.is_hidden(node.func.id):
                return _ByName(node.func.id)
        return self.knowledge.resolve(node.func)

    def _called(self, callee: Any, node: ast.Call, *, statement: bool) -> None:
        if isinstance(node.func, ast.Name) and self._changes_owner(callee, statement=statement):
            self._mutate(node.func.id, node)
        if isinstance(callee, str | tuple):
            return  # it can't be called, and would be taken for the name of something
        summary = self.summarise(callee.name if isinstance(callee, _ByName) else callee)
        if summary is not None:
            self._absorb_call(summary, node.args, node)
            return
        line, name = node.lineno, getattr(callee, "__name__", "")
        if isinstance(node.func, ast.Name) and self._is_builtin(node.func.id):
            name = node.func.id  # a kernel has an `input` of its own
        if name in _KERNEL_ONLY and getattr(builtins, name) is callee:
            self.effects.kernel_only[line] = f"`{name}`: {_KERNEL_ONLY[name]}"
        if tables.qualified_name(callee) in _SHOWS:
            self.effects.kernel_only[line] = "only the kernel can display"
        if tables.qualified_name(callee) in _PROCESS_STATE:
            reason = "it changes the state of the process, which iterations share"
            manager = _TAKEN_BACK_BY.get(tables.qualified_name(callee), "")
            self.effects.refusals.append(Refusal(line, _brief(node.func), reason, manager))
        if tables.call_draws(callee):
            self.effects.draws.append(Mutation(node))
        for position in tables.mutated_arguments(callee):
            if position < len(node.args):
                for root in roots_of(node.args[position], self.knowledge):
                    self._mutate(root, node)
        if callee is print:
            self._printed_to([k.value for k in node.keywords if k.arg == "file"], node)
        owner = getattr(callee, "__objclass__", None)  # list.append(xs, v)
        if owner is not None and node.args and tables.mutates(owner, name, statement=False):
            self._mutate(root_of(node.args[0]), node)
        self._draws_picture(callee, node)

    def _printed_to(self, files: list[ast.expr], node: ast.Call) -> None:
        for name in {root for file in files for root in roots_of(file, self.knowledge)}:
            # `sys.stderr` is the worker's own as well.
            if not isinstance(self.knowledge.value(name), types.ModuleType):
                self._mutate(name, node)

    def _changes_owner(self, callee: Any, *, statement: bool) -> bool:
        """Whether a bound method under a name of its own (``add = rows.append``) changes its owner.

        What the owner is besides, the objects tell when the loop is reached.
        """
        owner = getattr(callee, "__self__", None)
        if not isinstance(callee, types.BuiltinFunctionType | types.MethodType):
            return False
        if owner is None or isinstance(owner, types.ModuleType | type) or tables.call_draws(callee):
            return False
        summary = self.summarise(callee.__func__) if isinstance(callee, types.MethodType) else None
        if summary is not None:
            return 0 in summary.mutated_parameters
        return tables.mutates(type(owner), callee.__name__, statement=statement)

    def _absorb_call(
        self, summary: FunctionSummary, arguments: list[ast.expr], node: ast.Call
    ) -> None:
        self.effects.absorb(_at_call(summary.effects, node))
        for position in summary.mutated_parameters:
            if position < len(arguments):
                for root in roots_of(arguments[position], self.knowledge):
                    self._mutate(root, node)
        named = {k.arg: k.value for k in node.keywords if k.arg}
        for parameter in summary.mutated_names:
            if parameter in named:
                for root in roots_of(named[parameter], self.knowledge):
                    self._mutate(root, node)

    def _method_called(self, func: ast.Attribute, node: ast.Call, *, statement: bool) -> None:
        receiver = func.value
        root = root_of(receiver)
        if not roots_of(receiver, self.knowledge) and not isinstance(receiver, ast.Call):
            return
        value = self.knowledge.resolve(receiver) if root and not self._own(root) else UNKNOWN
        if root is not None and isinstance(value, types.ModuleType):
            self._draws_picture(value, node)
            return  # a function that the module makes up when asked for it
        kind = None if root and self._own(root) else self.knowledge.type_of(receiver)
        summary = self.summarise((kind, func.attr))
        if summary is not None:
            self._absorb_call(summary, [receiver, *node.args], node)
            if kind is not None:
                return
        if self._plots(kind, func.attr, node):
            self._touch_figure(node, new=False)
        if tables.method_draws(kind, func.attr):
            self.effects.draws.append(Mutation(node))
        if tables.mutates(kind, func.attr, statement=statement):
            for name in roots_of(receiver, self.knowledge):
                self._mutate(name, node, shallow=isinstance(receiver, ast.Name))

    # -- pyplot --------------------------------------------------------------------------------

    def _draws_picture(self, callee: Any, node: ast.Call) -> None:
        module = getattr(callee, "__module__", None) or getattr(callee, "__name__", "")
        if not isinstance(module, str):
            return
        if module == "matplotlib.pyplot":
            name = node.func.attr if isinstance(node.func, ast.Attribute) else _brief(node.func)
            new = name in _NEW_FIGURE and not any(k.arg == "num" for k in node.keywords)
            self._touch_figure(node, new=new and not (name == "figure" and node.args))
        elif module.partition(".")[0] == "seaborn":
            self._touch_figure(node, new=False)

    def _plots(self, kind: type | None, method: str, node: ast.Call) -> bool:
        if method not in _PLOT_METHODS or any(k.arg == "ax" for k in node.keywords):
            return False
        return kind is not None and kind.__module__.partition(".")[0] == "pandas"

    def _touch_figure(self, node: ast.Call, *, new: bool) -> None:
        if new:
            self.effects.binds.setdefault(FIGURE, node.lineno)
        else:
            self.effects.reads.setdefault(FIGURE, node.lineno)
            self._mutate(FIGURE, node)

    # -- inner scopes --------------------------------------------------------------------------

    @contextmanager
    def _scope(self, names: Iterable[str], *, deferred: bool = False) -> Iterator[None]:
        self._scopes.append({name: set() for name in names})
        self._deferred += deferred
        yield
        self._deferred -= deferred
        self._scopes.pop()

    def _visit_comprehension(self, node: ast.AST) -> None:
        assert isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        self.effects.substantial = True
        self.visit(node.generators[0].iter)
        own = {name for generator in node.generators for name in bound_names(generator.target)}
        walrus = bound_names(node)
        with self._scope(own - walrus, deferred=isinstance(node, ast.GeneratorExp)):
            for i, generator in enumerate(node.generators):
                if generator.is_async:
                    self._refuse_await(node)
                if i:
                    self.visit(generator.iter)
                self._alias(generator.target, generator.iter)
                for test in generator.ifs:
                    self.visit(test)
            parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
            for part in parts:
                self.visit(part)
        for name in walrus:
            self._bind(name, getattr(node, "lineno", 0))

    visit_ListComp = visit_SetComp = visit_DictComp = _visit_comprehension  # noqa: N815
    visit_GeneratorExp = _visit_comprehension  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_defaults(node.args)
        with self._scope(_parameters(node.args), deferred=True):
            self.visit(node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.effects.substantial = True
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._visit_defaults(node.args)
        self._bind(node.name, node.lineno)
        with self._scope(own_names(node), deferred=True):
            for statement in node.body:
                self.visit(statement)

    def scan_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Effects:
        """The effects of calling a function; what it mutates of a parameter ``p`` under ``p()``."""
        self.effects = Effects()
        with self._scope(own_names(node)):
            self._scopes[-1] |= {p: {f"{p}()"} for p in _parameters(node.args)}
            body = [node.body] if isinstance(node, ast.Lambda) else node.body
            # Twice: what a name stands for may be learnt further down, in a loop.
            for statement in (*body, *body):
                self.visit(statement)
        return self.effects

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.effects.substantial = True
        for expression in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(expression)
        self._bind(node.name, node.lineno)
        with self._scope({name for s in node.body for name in bound_names(s)}):
            for statement in node.body:
                self.visit(statement)

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)


@dataclass(frozen=True, slots=True)
class FunctionSummary:
    """What calling a function of the notebook does.

    Attributes
    ----------
    effects
        Its effects on the notebook's globals, those of the functions that it calls included.
    mutated_parameters, mutated_names
        Positions and names of parameters whose argument may be changed in place.
    """

    effects: Effects
    mutated_parameters: tuple[int, ...] = ()
    mutated_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _ByName:
    """A callee that the cell itself defines before the loop."""

    name: str


def _parameters(arguments: ast.arguments) -> set[str]:
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    rest = (arguments.vararg, arguments.kwarg)
    return {a.arg for a in every} | {a.arg for a in rest if a is not None}


def own_names(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """The local names of a function, its parameters included."""
    if isinstance(node, ast.Lambda):
        return _parameters(node.args)
    bound = {name for statement in node.body for name in bound_names(statement)}
    return _parameters(node.args) | (bound - _declared_global(node))


def _declared_global(node: ast.AST) -> set[str]:
    return {n for child in walk(node) if isinstance(child, ast.Global) for n in child.names}


def is_paired(target: ast.expr, value: ast.expr) -> bool:
    """Whether each part of the target gets its own part of the value."""
    if not isinstance(target, ast.Tuple | ast.List) or not isinstance(value, ast.Tuple | ast.List):
        return False
    if len(target.elts) != len(value.elts):
        return False
    return not any(isinstance(e, ast.Starred) for e in (*target.elts, *value.elts))


def _at_call(effects: Effects, node: ast.Call) -> Effects:
    """A function's effects as those of a call: its own lines may be another cell's."""
    line = node.lineno
    kept = dict.fromkeys(effects.kernel_only.values())
    return dataclasses.replace(
        effects,
        mutates={n: Mutation(node, m.shallow) for n, m in effects.mutates.items()},
        draws=[Mutation(node) for _ in effects.draws],
        kernel_only={line: "; ".join(kept)} if kept else {},
        refusals=[dataclasses.replace(refusal, line=line) for refusal in effects.refusals],
    )


def _loaded(node: ast.Name) -> ast.Name:
    return ast.Name(id=node.id, ctx=ast.Load())


def _brief(node: ast.AST, limit: int = 60) -> str:
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= limit else text[: limit - 3] + "..."


def roots_of(node: ast.expr, knowledge: Knowledge | None = None) -> set[str]:
    """Names from which `node` may take, as a path, (a part of) the value that it gives."""
    match node:
        case ast.Name():
            return {node.id}
        case ast.Attribute() | ast.Subscript() | ast.Starred():
            return roots_of(node.value, knowledge)
        case ast.NamedExpr():
            return roots_of(node.value, knowledge) | {node.target.id}
        case ast.IfExp():
            return roots_of(node.body, knowledge) | roots_of(node.orelse, knowledge)
        case ast.BoolOp():
            return set().union(*(roots_of(v, knowledge) for v in node.values))
        case ast.Tuple() | ast.List() | ast.Set():
            return set().union(*(roots_of(v, knowledge) for v in node.elts))
        case ast.Dict():
            return set().union(*(roots_of(v, knowledge) for v in node.values))
        case ast.Call(func=ast.Attribute() as func) if knowledge is not None:
            kind = knowledge.type_of(func.value)
            if tables.accessors(kind, func.attr):
                return roots_of(func.value, knowledge)
            return set()
        case ast.Call(func=ast.Name(id=name), args=args) if name in _PASS_THROUGH:
            return set().union(*(roots_of(a, knowledge) for a in args))
        case _:
            return set()


# Builtins that hand out the very elements of their arguments.
_PASS_THROUGH: Final = frozenset(
    {"enumerate", "zip", "reversed", "sorted", "list", "tuple", "iter", "next", "filter", "max",
     "min", "getattr"}
)  # fmt: skip
