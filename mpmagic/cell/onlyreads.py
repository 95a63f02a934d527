"""Whether code surely changes nothing that it's given, if that is plain: then nobody has to look.

Lists, dictionaries, sets, text and numbers have no code of their own, so what the source says is
all that happens to them. What it doesn't say surely is taken for a change: only containers that a
function has made itself may be filled.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Final

from mpmagic.cell.syntax import walk

__all__ = ["PLAIN_BUILTINS", "globals_read"]

_NAMES: Final = """
    abs all any ascii bin bool bytearray bytes chr complex dict divmod enumerate filter float format
    frozenset hash hex int isinstance issubclass iter len list map max min next oct ord pow print
    range repr reversed round set slice sorted str sum tuple zip ArithmeticError AssertionError
    Exception IndexError KeyError LookupError NotImplementedError OverflowError RuntimeError
    StopIteration TypeError UnicodeError ValueError ZeroDivisionError
"""
PLAIN_BUILTINS: Final = {name: getattr(builtins, name) for name in _NAMES.split()}
"""What changes no plain value that it's called with."""

_PLAIN_TYPES: Final = (str, bytes, list, dict, set, frozenset, tuple, int, float, complex, range)
_CHANGING: Final = frozenset(
    {"add", "append", "clear", "difference_update", "discard", "extend", "insert",
     "intersection_update", "pop", "popitem", "remove", "reverse", "setdefault", "sort",
     "symmetric_difference_update", "update"}
)  # fmt: skip
_READING: Final = frozenset(
    n for kind in _PLAIN_TYPES for n in dir(kind) if not n.startswith("_") and n not in _CHANGING
)
_OF_PATTERNS: Final = frozenset(
    {"end", "findall", "finditer", "fullmatch", "group", "groupdict", "groups", "match", "search",
     "span", "start", "sub"}
)  # fmt: skip
_FRESH_CALLS: Final = frozenset(
    {"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "hash", "int", "len",
     "list", "ord", "range", "repr", "round", "set", "sorted", "str", "chr"}
)  # fmt: skip
_FRESH_METHODS: Final = frozenset(
    {"copy", "difference", "intersection", "join", "split", "splitlines", "symmetric_difference",
     "union"}
)  # fmt: skip
_NUMBERS: Final = frozenset({"float", "int", "len", "ord"})

_FRESH: Final = (
    ast.BinOp, ast.Compare, ast.Constant, ast.Dict, ast.DictComp, ast.JoinedStr, ast.List,
    ast.ListComp, ast.Set, ast.SetComp, ast.UnaryOp,
)  # fmt: skip
_HARMLESS: Final = (
    *_FRESH, ast.alias, ast.arg, ast.arguments, ast.Assert, ast.Assign, ast.AugAssign, ast.BoolOp,
    ast.boolop, ast.Break, ast.Call, ast.cmpop, ast.comprehension, ast.Continue, ast.ExceptHandler,
    ast.Expr, ast.expr_context, ast.For, ast.FormattedValue, ast.GeneratorExp, ast.If, ast.IfExp,
    ast.keyword, ast.NamedExpr, ast.operator, ast.Pass, ast.Raise, ast.Return, ast.Slice,
    ast.Starred, ast.Try, ast.Tuple, ast.unaryop, ast.While, ast.Yield, ast.YieldFrom,
)  # fmt: skip
"""Nodes that by themselves change nothing; names, attributes and functions are looked at."""

_Function = ast.FunctionDef | ast.Lambda


def globals_read(node: ast.AST, given: frozenset[str] = frozenset()) -> frozenset[str] | None:
    """Names that code reads and doesn't bind itself; None if it may change what it's given.

    Parameters
    ----------
    node
        A function, or a statement.
    given
        Of a statement, names that may be bound before it.
    """
    scope = _Scope(node, given)
    return frozenset(scope.read) if scope.only_reads() else None


class _Scope:
    """The code of one function, functions inside it apart.

    Parameters
    ----------
    node
        The function, or a statement.
    given
        Names that are bound to what it hasn't made.

    Attributes
    ----------
    read
        Names that are read and not bound here.
    """

    def __init__(self, node: ast.AST, given: frozenset[str]) -> None:
        self._nodes, self._inner = list[ast.AST](), list[_Function]()
        self.read: set[str] = set()
        self._given, self._bound = set(given), set[str]()
        self._values: dict[str, list[ast.expr]] = {}  # that a name is bound to
        if isinstance(node, _Function):
            self._bound |= {a.arg for a in walk(node.args) if isinstance(a, ast.arg)}
            for part in node.body if isinstance(node.body, list) else [node.body]:
                self._gather(part)
        else:
            self._gather(node)
        self._bind()

    def _gather(self, node: ast.AST) -> None:
        self._nodes.append(node)
        if isinstance(node, _Function):
            self._inner.append(node)
            outside: list[ast.AST] = [node.args]
            outside += node.decorator_list if isinstance(node, ast.FunctionDef) else []
        else:
            outside = list(ast.iter_child_nodes(node))
        for child in outside:
            self._gather(child)

    def _bind(self) -> None:
        simple: set[int] = set()
        for node in self._nodes:
            if isinstance(node, ast.AugAssign):  # what was made here before is that afterwards
                simple.add(id(node.target))
            for target, value in _simply_bound(node):
                self._values.setdefault(target.id, []).append(value)
                simple.add(id(target))
        for node in self._nodes:
            match node:
                case ast.Name(id=name, ctx=ast.Store()) if id(node) not in simple:
                    self._bound.add(name)
                case ast.ExceptHandler(name=str(caught)):
                    self._bound.add(caught)
                case ast.FunctionDef(name=function):
                    self._bound.add(function)
        self._given |= self._bound
        self._bound |= self._values.keys()

    def only_reads(self) -> bool:
        """Whether nothing is changed but what is made here."""
        if self._bound & PLAIN_BUILTINS.keys() or not all(map(self._leaves, self._nodes)):
            return False
        for function in self._inner:
            scope = _Scope(function, frozenset())
            if not scope.only_reads():
                return False
            self.read |= scope.read
        self.read -= self._bound
        return True

    def _leaves(self, node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self.read.add(name)
                return True
            case ast.Name() | ast.FunctionDef() | ast.Lambda():
                return True
            case ast.Attribute(value=value, attr=attr, ctx=ast.Load()):
                return self._may_load(value, attr)
            case ast.Subscript(value=value, ctx=context):
                return isinstance(context, ast.Load) or self._is_own(value)
            case ast.AugAssign(target=ast.Name() as name):
                return self._is_own(name)
            case ast.AugAssign(op=op, value=value):
                # What stands in a slot may be what was given; a list takes no number.
                return isinstance(op, ast.Add | ast.Sub) and _is_number(value)
        return isinstance(node, _HARMLESS)

    def _may_load(self, value: ast.expr, attr: str) -> bool:
        if attr in _CHANGING:
            return self._is_own(value)
        if attr.startswith("__"):  # `d.__setitem__(k, v)`
            return False
        if attr in _READING or attr in _OF_PATTERNS:
            return True
        # It may be a module's: which one, the names tell that are read.
        return isinstance(value, ast.Name) and value.id not in self._bound

    def _is_own(self, node: ast.expr) -> bool:
        """Whether it's a name that is only bound to what was made here."""
        if not isinstance(node, ast.Name) or node.id in self._given:
            return False
        return all(map(_is_fresh, self._values.get(node.id, [node])))


def _simply_bound(node: ast.AST) -> Iterator[tuple[ast.Name, ast.expr]]:
    """Names that a statement, or a walrus, binds to the value of an expression."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((t, value) for t in targets if isinstance(t, ast.Name))
        case ast.NamedExpr(target=ast.Name() as name, value=value):
            yield name, value


def _is_fresh(node: ast.expr) -> bool:
    """Whether the value is made where it stands, or can't be changed."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in _FRESH_CALLS
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in _FRESH_METHODS
        case ast.IfExp(body=one, orelse=other):
            return _is_fresh(one) and _is_fresh(other)
    return isinstance(node, _FRESH)


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=int() | float() | complex()):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _NUMBERS
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_number(operand)
    return False
