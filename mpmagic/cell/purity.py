"""Expressions that the kernel can evaluate ahead of the commits: nothing but values goes in.

Where all names of such an expression stand for immutable values of builtin types, which is looked
at while the loop runs, evaluating it once more gives the same value again, and does nothing else.
"""

from __future__ import annotations

import ast
import builtins
import types
from typing import Final

from mpmagic.cell.attribute import attribute
from mpmagic.cell.knowledge import Knowledge

__all__ = ["Purity"]

_PURE_BUILTINS: Final = frozenset(
    {"abs", "bin", "bool", "chr", "complex", "divmod", "float", "hex", "int", "len", "max", "min",
     "oct", "ord", "pow", "repr", "round", "str", "tuple"}
)  # fmt: skip
_PURE_MODULES: Final = frozenset({"math", "cmath"})
_PURE_METHODS: Final = frozenset(
    name
    for kind in (str, bytes, int, float, complex, tuple)
    for name in vars(kind)
    if not name.startswith("_")
)
_OPERATIONS: Final = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.IfExp, ast.Tuple, ast.Subscript, ast.Slice,
    ast.JoinedStr, ast.FormattedValue,
)  # fmt: skip


class Purity:
    """Tells which expressions are pure, and of what they are made.

    Parameters
    ----------
    knowledge
        What names stand for.
    bound
        Names that the loop binds.

    Attributes
    ----------
    functions
        Names of functions and modules that pure expressions use.
    """

    def __init__(self, knowledge: Knowledge, bound: set[str]) -> None:
        self.functions: set[str] = set()
        self._knowledge = knowledge
        self._bound = bound

    def reads(self, node: ast.expr) -> set[str] | None:
        """The names of the values that a pure expression is made of; None if it isn't pure."""
        match node:
            case ast.Constant():
                return set()
            case ast.Name(ctx=ast.Load()):
                return {node.id}
            case ast.Compare():
                return self._all([node.left, *node.comparators]) if _by_value(node) else None
            case ast.BinOp(op=ast.MatMult()) | ast.UnaryOp(op=ast.Invert()):
                return None
            case ast.Call():
                return self._call(node)
            case ast.Attribute():
                return self._function(node) if self._is_constant(node) else None
            case _ if isinstance(node, _OPERATIONS):
                inside = (part for part in ast.iter_child_nodes(node))
                return self._all([part for part in inside if isinstance(part, ast.expr)])
            case _:
                return None

    def counts(self, node: ast.expr) -> set[str] | None:
        """The names of the values that a range is made of; None for anything else."""
        if not isinstance(node, ast.Call) or node.keywords:
            return None
        if self._knowledge.resolve(node.func) is not range or not self.notes(node.func):
            return None
        return self._all(node.args)

    def notes(self, func: ast.expr) -> bool:
        """Note a function that is called; False if the loop may bind its name."""
        return self._function(func) is not None

    def _all(self, nodes: list[ast.expr]) -> set[str] | None:
        read: set[str] = set()
        for node in nodes:
            inside = self.reads(node)
            if inside is None:
                return None
            read |= inside
        return read

    def _call(self, node: ast.Call) -> set[str] | None:
        if any(keyword.arg is None for keyword in node.keywords):
            return None
        given = self._all([*node.args, *(keyword.value for keyword in node.keywords)])
        callee = self._callee(node.func)
        return None if given is None or callee is None else given | callee

    def _callee(self, func: ast.expr) -> set[str] | None:
        """The names of the values that a pure function is called on; None if it isn't pure."""
        callee = self._knowledge.resolve(func)
        name = attribute(callee, "__name__", "")
        if isinstance(callee, types.BuiltinFunctionType | type):
            known = name in _PURE_BUILTINS and callee is getattr(builtins, name)
            if known or attribute(callee, "__module__", "") in _PURE_MODULES:
                return self._function(func)
        if not isinstance(func, ast.Attribute) or func.attr not in _PURE_METHODS:
            return None
        return self.reads(func.value)

    def _function(self, node: ast.expr) -> set[str] | None:
        """Note the name of a function, or of the module that it is taken from."""
        while isinstance(node, ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self._bound:
            return None
        self.functions.add(node.id)
        return set()

    def _is_constant(self, node: ast.Attribute) -> bool:
        """Whether it is a number of a module like `math`, or one of numpy's types."""
        constant, module = self._knowledge.resolve(node), self._knowledge.resolve(node.value)
        if not isinstance(module, types.ModuleType):
            return False
        scalar = isinstance(constant, type) and constant.__module__ == "numpy"
        return scalar or (type(constant) is float and module.__name__ in _PURE_MODULES)


def _by_value(node: ast.Compare) -> bool:
    """Whether it compares no identities, apart from that of a constant there is one of."""
    for operator, other in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.Is | ast.IsNot):
            singleton = isinstance(other, ast.Constant) and other.value in (None, True, False)
            if not singleton:
                return False
    return True
