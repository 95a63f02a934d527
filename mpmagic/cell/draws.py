"""Draws of random numbers, and steps of iterators, set apart so that they can run ahead.

``out.append(f(x, rng.normal()))`` becomes a draw and then ``out.append(f(x, drawn))`` where that is
the same: where nothing in the statement that could do or raise anything comes before the draw. The
name of what is drawn is the text of the call, which is no name that a user could give, and what
messages show.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Final, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.attribute import attribute
from mpmagic.cell.draw import FLOWING, STEPPING, Draw
from mpmagic.cell.knowledge import UNKNOWN, Knowledge, Unknown, bound_names
from mpmagic.cell.series import calls_in, exhausted_by, own_names
from mpmagic.cell.shuffles import shuffled, shuffled_copy
from mpmagic.cell.syntax import children, copied, set_blocks, walk
from mpmagic.cell.unit import blocks_of

__all__ = ["DrawsApart", "draws_apart"]

_METHODS: Final = frozenset(
    {"random", "uniform", "triangular", "randint", "randrange", "choice", "choices", "sample",
     "gauss", "normalvariate", "lognormvariate", "expovariate", "vonmisesvariate", "gammavariate",
     "betavariate", "paretovariate", "weibullvariate", "getrandbits", "randbytes",
     "binomialvariate", "integers", "permutation", "bytes", "beta", "binomial", "chisquare",
     "dirichlet", "exponential", "f", "gamma", "geometric", "gumbel", "hypergeometric", "laplace",
     "logistic", "lognormal", "logseries", "multinomial", "negative_binomial",
     "noncentral_chisquare", "noncentral_f", "normal", "pareto", "poisson", "power", "rayleigh",
     "standard_cauchy", "standard_exponential", "standard_gamma", "standard_normal", "standard_t",
     "vonmises", "wald", "weibull", "zipf", "rand", "randn", "random_sample", "ranf"}
)  # fmt: skip
"""Those that do nothing but draw; `shuffle` changes its argument, some may warn."""

_INTO: Final = frozenset({"random", "standard_normal", "standard_exponential", "standard_gamma"})
"""Those with a third parameter into which they draw."""


_FUNCTIONS: Final = (
    types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, staticmethod,
    classmethod, types.ClassMethodDescriptorType, types.BuiltinFunctionType,
)  # fmt: skip

_JUMPS: Final = (ast.Break, ast.Continue, ast.Raise)


class DrawsApart(NamedTuple):
    """A body, with its draws set apart.

    Attributes
    ----------
    body
        The statements.
    draws
        The draws, by the identity of the statements that make them, in the order of the source.
    element
        The statement that stands for a comprehension's element, as it is now.
    """

    body: list[ast.stmt]
    draws: Mapping[int, Draw]
    element: ast.stmt | None = None


def draws_apart(loop: ast.For, knowledge: Knowledge, element: ast.stmt | None) -> DrawsApart:
    """Set the draws of a loop's body apart; as it is, if that can't be done for all of them."""
    apart = _Apart(knowledge, loop, element)
    as_it_is = DrawsApart(loop.body, {}, element)
    if not any(map(apart.draws_at_all, walk(*loop.body))):
        return as_it_is
    changed = apart.block(loop.body)
    made = {id(call) for draw in apart.draws.values() for call in draw.calls}
    nodes = walk(*changed) if made else []
    if not made or any(id(node) not in made and apart.draws_at_all(node) for node in nodes):
        return as_it_is
    return DrawsApart(changed, apart.draws, apart.element)


class _Apart:
    """Rewrites statements; `draws` collects what was set apart, `element` stays what it was."""

    def __init__(self, knowledge: Knowledge, loop: ast.For, element: ast.stmt | None) -> None:
        self.draws: dict[int, Draw] = {}
        self.element = element
        self._knowledge = knowledge
        # Names that surely stand for something, here, whichever way has led here.
        self._bound = bound_names(loop.target)
        self._loop = loop
        # Generator expressions that are summed.
        self._summed: set[int] = set()

    @functools.cached_property
    def _deleted(self) -> set[str]:
        return set().union(*map(_deleted, self._loop.body))

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Statements with their draws before them."""
        changed: list[ast.stmt] = []
        i = 0
        while i < len(statements):
            pair = statements[i : i + 2]
            made = self._shuffled(pair)
            pair = pair if made else pair[:1]
            changed += made or self._statement(pair[0])
            for node in pair:
                self._bound = (self._bound | _surely_bound(node)) - _deleted(node)
            i += len(pair)
        return changed

    def _shuffled(self, pair: list[ast.stmt]) -> list[ast.stmt]:
        """The statements that make a copy and shuffle it, as a draw; empty if it's none."""
        if (found := shuffled_copy(pair)) is None:
            return []
        name, made, call = found
        if self._method(call) != "shuffle":
            return []
        own = frozenset({name})
        draw = Draw(self._free_name(call), shuffled(name, made.value, call), (call,), own)
        drawn = ast.copy_location(ast.Name(id=draw.name, ctx=ast.Load()), call)
        bound = ast.copy_location(ast.Assign(targets=made.targets, value=drawn), made)
        return [_spanning(self._made_by(draw), pair), _spanning(bound, pair)]

    def draws_at_all(self, node: ast.AST) -> bool:
        """Whether it's a call that draws, or seeds a stream that is drawn from, or steps."""
        return isinstance(node, ast.Call) and (self._steps(node) or self._is_random(node))

    def _is_random(self, node: ast.Call) -> bool:
        callee = self._knowledge.resolve(node.func)
        kind = None if callee is UNKNOWN else type(attribute(callee, "__self__"))
        if kind is None and isinstance(node.func, ast.Attribute):
            kind = self._knowledge.type_of(node.func.value)
        return tables.is_random(kind)

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.AugAssign() if not self._stands(node.target):
                return [node]  # what it stores into is evaluated first
            case ast.Assign() | ast.AugAssign() | ast.Expr() | ast.AnnAssign(value=ast.expr()):
                value = node.value
                assert value is not None
            case ast.If():
                value = node.test
            case _:
                return [node]
        found: list[ast.expr] = []
        self._collect(value, found)
        made = [self._made(draw) for draw in found]
        drawn = [ast.Name(id=name, ctx=ast.Load()) for name in self._names(made)]
        located = map(ast.copy_location, drawn, found)
        changed = copied(node, dict(zip(map(id, found), located, strict=True)))
        if node is self.element:
            self.element = changed
        if isinstance(node, ast.If):
            before = self._bound
            blocks = []
            for block in blocks_of(node):
                self._bound = set(before)
                blocks.append(self.block(block))
            self._bound = before
            set_blocks(changed, blocks)
        return [*made, changed]

    def _stands(self, node: ast.expr) -> bool:
        """Whether it's a name that surely stands for something."""
        if not isinstance(node, ast.Name):
            return False
        deleted = node.id in self._deleted and node.id not in self._bound
        return node.id in self._bound or (self._knowledge.defined(node.id) and not deleted)

    def _made(self, node: ast.expr) -> ast.stmt:
        """A draw as a statement of its own."""
        calls, own = self._calls(node), frozenset(own_names(node))
        summed = id(node) in self._summed
        return self._made_by(Draw(self._free_name(node), node, calls, own, summed=summed))

    def _made_by(self, draw: Draw) -> ast.stmt:
        target = ast.copy_location(ast.Name(id=draw.name, ctx=ast.Store()), draw.node)
        made = ast.copy_location(ast.Assign(targets=[target], value=draw.value), draw.node)
        self.draws[id(made)] = draw
        return made

    def _free_name(self, node: ast.expr) -> str:
        name, taken = ast.unparse(node), {draw.name for draw in self.draws.values()}
        while name in taken:  # another of the same
            name += " "
        return name

    def _calls(self, node: ast.expr) -> tuple[ast.Call, ...]:
        """The calls of a draw, or of a series of draws; empty if it is neither."""
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            return calls_in(node, self.draws_at_all, self._draws)
        return (node,) if isinstance(node, ast.Call) and self._draws(node) else ()

    def _names(self, made: list[ast.stmt]) -> list[str]:
        return [self.draws[id(statement)].name for statement in made]

    def _collect(self, node: ast.AST, found: list[ast.expr]) -> bool:
        """Collect leading draws in order of evaluation; whether more may follow them."""
        parts: list[ast.expr] = []
        match node:
            case ast.Constant():
                return True
            case ast.Name():
                return self._stands(node)
            case ast.Call() | ast.ListComp() if self._calls(node):
                found.append(node)
                return True
            case ast.Call() if (given := exhausted_by(node, self._knowledge)) is not None:
                if self._calls(given):
                    found.append(given)
                    self._summed |= {id(given)} if ast.unparse(node.func) == "sum" else set()
                return False
            case ast.Call():
                if any(keyword.arg is None for keyword in node.keywords):
                    return False  # what ``**`` unpacks may be no mapping
                func = [] if self._has_method(node.func) else [node.func]
                parts = [*func, *node.args, *(keyword.value for keyword in node.keywords)]
            case ast.Tuple() | ast.List() | ast.BinOp() | ast.UnaryOp() | ast.Subscript():
                parts = [part for part in children(node) if isinstance(part, ast.expr)]
            case ast.Dict() if all(isinstance(key, ast.Constant) for key in node.keys):
                parts = list(node.values)  # looking up the keys does nothing
            case ast.Attribute():
                parts = [node.value]
            case ast.Compare():
                parts = [node.left, node.comparators[0]]
            case _:
                return False
        clean = all(self._collect(part, found) for part in parts)  # up to the first that isn't
        return clean and isinstance(node, ast.Tuple | ast.List | ast.Dict)

    def _has_method(self, func: ast.expr) -> bool:
        """Whether it's a function that surely is there: it's looked up before the arguments."""
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Constant):
            return hasattr(func.value.value, func.attr)  # ``"".join``
        if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name):
            return False
        if func.value.id in self._bound or not self._stands(func.value):
            return False
        if self._knowledge.resolve(func) is not UNKNOWN:
            return True
        kind = self._knowledge.type_of(func.value)
        known = kind is not None and kind is not Unknown
        return known and isinstance(inspect.getattr_static(kind, func.attr, None), _FUNCTIONS)

    def _draws(self, node: ast.Call) -> bool:
        """Whether a call draws and does nothing else, as far as its function tells."""
        if self._steps(node):
            return True
        method = self._method(node)
        into = method in _INTO and len(node.args) > 2
        plain = all(keyword.arg not in (None, "out") for keyword in node.keywords)
        return method in _METHODS and plain and not into and not _has_starred(node)

    def _method(self, node: ast.Call) -> str:
        """The method of a random generator that a call calls by a name or path; empty for none."""
        func = node.func
        if not self._is_random(node) or not _is_path(func):
            return ""
        callee = self._knowledge.resolve(func)
        if callee is not UNKNOWN:
            return str(attribute(callee, "__name__", ""))
        return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")

    def _steps(self, node: ast.Call) -> bool:
        """Whether a call takes the next item of an iterator that may be stepped ahead."""
        match node:
            case ast.Call(func=ast.Name(id="next") as func, args=[ast.Name() as name, *_]):
                kind = self._knowledge.type_of(name)
                # Of one that the cell makes the type is looked at when the loop is reached.
                bound = self._knowledge.is_hidden(name.id) or not self._knowledge.defined(name.id)
                unknown = kind in (None, Unknown) and bound
                if name.id in self._bound:
                    return False  # the iteration's own
                known = kind in STEPPING or kind in FLOWING
                return self._knowledge.value(func.id) is next and (unknown or known)
            case _:
                return False


def _spanning(node: ast.stmt, statements: list[ast.stmt]) -> ast.stmt:
    """A statement that stands for some others, at their place."""
    first, last = statements[0], statements[-1]
    node.lineno, node.col_offset = first.lineno, first.col_offset
    node.end_lineno, node.end_col_offset = last.end_lineno, last.end_col_offset
    return node


def _surely_bound(node: ast.stmt) -> set[str]:
    """Names that a statement binds, if what follows it runs."""
    match node:
        case ast.Assign(targets=targets):
            return set().union(*map(bound_names, targets))
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr()):
            return bound_names(target)
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.ClassDef():
            return bound_names(node)
        case ast.If(body=body, orelse=orelse):
            ways = [way for way in (body, orelse) if not (way and isinstance(way[-1], _JUMPS))]
            bound = [set().union(*map(_surely_bound, way)) for way in ways]
            return set.intersection(*bound) if bound else set()
        case _:
            return set()


def _deleted(node: ast.stmt) -> set[str]:
    """Names that a statement may delete, at the end of a handler too."""
    found: set[str] = set()
    for part in walk(node):
        if isinstance(part, ast.Delete):
            found |= {t.id for t in part.targets if isinstance(t, ast.Name)}
        elif isinstance(part, ast.ExceptHandler) and part.name:
            found.add(part.name)
    return found


def _is_path(node: ast.expr) -> bool:
    """Whether it is a name, or an attribute of one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _has_starred(node: ast.Call) -> bool:
    return any(isinstance(argument, ast.Starred) for argument in node.args)
