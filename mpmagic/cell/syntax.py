"""Walks through syntax trees, and small changes of them, that several modules need.

They do what `ast.walk`, `ast.iter_child_nodes` and `copy.deepcopy` do, many times faster: a plan
is little else than such walks. The contexts and operators of expressions are passed over, and
shared by copies: they hold nothing.
"""

from __future__ import annotations

import ast
import copy
import dis
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

__all__ = [
    "INTERPOLATIONS",
    "TEMPLATES",
    "brief",
    "children",
    "copied",
    "iterating",
    "loaded",
    "locate_new",
    "set_blocks",
    "unannotated",
    "walk",
]

_Node = TypeVar("_Node", bound=ast.AST)


def _kinds(name: str) -> tuple[type[ast.expr], ...]:
    """Kinds of nodes of that name: none before the Python that has them."""
    return (getattr(ast, name),) if hasattr(ast, name) else ()


TEMPLATES: Final[tuple[type[ast.expr], ...]] = _kinds("TemplateStr")
"""The kinds of nodes that are template strings: they hold the very objects."""

INTERPOLATIONS: Final[tuple[type[ast.expr], ...]] = _kinds("Interpolation")
"""The kinds of nodes that are their replacement fields."""

_PLAIN: Final = frozenset({"arg", "attr", "ctx", "id", "kind", "op", "ops", "type_comment"})

_MIXED: Final = frozenset({"keys", "kw_defaults", "kwd_attrs", "names"})
"""Lists that may hold something else than nodes."""


class _InnerFields(dict[type, tuple[str, ...]]):
    """By kinds of nodes: the fields in which they may hold others that are worth a visit."""

    def __missing__(self, kind: type) -> tuple[str, ...]:
        fields = () if kind is ast.Constant else tuple(f for f in kind._fields if f not in _PLAIN)  # type: ignore[attr-defined]
        return self.setdefault(kind, fields)


_INNER_FIELDS: Final = _InnerFields()


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly inside `node`, in the order of its fields."""
    found: list[ast.AST] = []
    _gather([node], found)
    return found


def walk(*nodes: ast.AST) -> list[ast.AST]:
    """The nodes and all inside them, outer ones first."""
    found = list(nodes)
    _gather(found, found)  # each to be visited in its turn
    return found


def _gather(nodes: list[ast.AST], found: list[ast.AST]) -> None:
    # What planning does most: a call for each node would take a tenth of its time.
    for node in nodes:
        names = _INNER_FIELDS[type(node)]
        if not names:
            continue
        fields = node.__dict__
        for name in names:
            value = fields.get(name)
            if value.__class__ is list:
                if name in _MIXED:
                    found += [part for part in value if isinstance(part, ast.AST)]
                else:
                    found += value
            elif value is not None and isinstance(value, ast.AST):
                found.append(value)


def copied(node: _Node, instead: Mapping[int, ast.AST] = MappingProxyType({})) -> _Node:
    """A copy of a tree that shares with it but operators, contexts and constants.

    Parameters
    ----------
    node
        The tree; itself it's always copied.
    instead
        By the ids of nodes inside it, what the copy has in their place.
    """

    new = type(node).__new__(type(node))
    fields = vars(new)
    fields.update(vars(node))
    for name in _INNER_FIELDS[type(node)]:
        value = fields.get(name)
        if isinstance(value, ast.AST):
            fields[name] = instead.get(id(value)) or copied(value, instead)
        elif isinstance(value, list):
            fields[name] = [
                (instead.get(id(part)) or copied(part, instead))
                if isinstance(part, ast.AST)
                else part
                for part in value
            ]
    return new


def loaded(identifier: str, at: ast.AST) -> ast.expr:
    """A name that is read where `at` is."""
    return ast.copy_location(ast.Name(id=identifier, ctx=ast.Load()), at)


def locate_new(node: ast.AST, line: int) -> None:
    """Give every node without a place the line of the one around it."""
    if "lineno" in node._attributes:
        if getattr(node, "lineno", None) is None:
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
        line = node.lineno  # type: ignore[attr-defined]
    for child in children(node):
        locate_new(child, line)


def _iterates_as_whole() -> bool:
    code = compile("for x in y:\n    pass", "", "exec")
    (begin,) = (i for i in dis.get_instructions(code) if i.opname == "GET_ITER")
    return begin.positions is not None and begin.positions.end_lineno == 2


_ITERATES_AS_WHOLE: Final = _iterates_as_whole()


def iterating(loop: ast.For) -> ast.AST:
    """The node at whose place tracebacks see a loop begin and get its items: that depends."""
    return loop if _ITERATES_AS_WHOLE else loop.iter


# Statements that are an annotation, or hold statements that may be.
_ANNOTATING: Final = (
    ast.AnnAssign, ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.Match,
)  # fmt: skip


def unannotated(node: ast.stmt) -> ast.stmt:
    """The same statement as a function may hold it, where global names have no annotations."""
    if not isinstance(node, _ANNOTATING):
        return node
    changed: ast.stmt = _Unannotated().visit(node)
    return changed


class _Unannotated(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return node
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return node  # names of its own

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node


def brief(node: ast.AST, limit: int = 60) -> str:
    """The first line of a node's source, cut short for a message."""
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= limit else text[: limit - 3] + "..."


def set_blocks(node: ast.stmt, blocks: list[list[ast.stmt]]) -> None:
    """Put new statements into the blocks of a (shallow) copy of a compound statement."""
    match node:
        case ast.If() | ast.While() | ast.For():
            node.body, node.orelse = blocks
        case ast.With():
            (node.body,) = blocks
        case ast.Try() | ast.TryStar():
            node.handlers = [copy.copy(h) for h in node.handlers]
            node.body, *handlers, node.orelse, node.finalbody = blocks
            for handler, body in zip(node.handlers, handlers, strict=True):
                handler.body = body
        case ast.Match():
            node.cases = [copy.copy(c) for c in node.cases]
            for case, body in zip(node.cases, blocks, strict=True):
                case.body = body
