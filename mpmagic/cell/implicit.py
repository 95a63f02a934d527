"""What code of the notebook's changes that no call in the cell shows.

``a < b``, ``d[key]``, ``obj.size``, ``f"{obj}"`` and the end of an object run special methods and
properties of its class. A commit may do any of these, so that what they change is the kernel's.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from typing import Any, Final

from mpmagic.cell.attribute import function_behind
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.knowledge import Knowledge
from mpmagic.heaptypes import is_heap_type

__all__ = ["changes_itself", "seed_implicit"]

# Calls, `with` and stores into an object are seen where they stand.
_SHOWN: Final = frozenset({
    "__new__", "__init__", "__post_init__", "__init_subclass__", "__set_name__", "__call__",
    "__class_getitem__", "__enter__", "__exit__", "__aenter__", "__aexit__",
})  # fmt: skip
_STORING: Final = frozenset({
    "__setitem__", "__delitem__", "__setattr__", "__delattr__", "__set__", "__delete__",
    "__next__", "__setstate__", "__iadd__", "__isub__", "__imul__", "__iand__", "__ior__",
    "__ixor__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__", "__imatmul__",
    "__ilshift__", "__irshift__",
})  # fmt: skip


def seed_implicit(dependence: Dependence) -> None:
    """Names whose object such code changes, that it binds, or that it reads and the body binds."""
    apart = dependence.allowances.local | dependence.allowances.private
    bound = dependence.whole.binds.keys()
    for label, callee in _implicit(dependence.knowledge):
        summary = dependence.summaries(callee)
        if summary is None:
            continue
        effects = summary.effects
        for name in (*effects.mutates, *effects.binds):
            if name not in apart:
                dependence.kernel.setdefault(name, f"`{label}` changes `{name}`")
        for name in effects.reads.keys() & bound - apart:
            dependence.kernel.setdefault(name, f"`{label}` reads `{name}`")


def changes_itself(dependence: Dependence) -> bool:
    """Whether such code changes the very object whose class it is of.

    Which objects those are can't be told from the source: a look at what the work was sent tells
    whether any was one of them.
    """
    for label, callee in _implicit(dependence.knowledge):
        summary = dependence.summaries(callee)
        storing = label.rpartition(".")[2] in _STORING
        if not storing and summary is not None and 0 in summary.mutated_parameters:
            return True
    return False


def _implicit(knowledge: Knowledge) -> Iterator[tuple[str, Any]]:
    """Such functions, each with the words for it."""
    for name, value in knowledge.namespace.items():
        if isinstance(value, type) and is_heap_type(value) and not knowledge.is_hidden(name):
            yield from _of_class(value, knowledge)
    for name, node in knowledge.classes.items():
        methods = (m for m in node.body if isinstance(m, ast.FunctionDef))
        for method in methods:
            if _is_special(method.name) or method.decorator_list:
                yield f"{name}.{method.name}", (None, method.name)


def _of_class(kind: type, knowledge: Knowledge) -> Iterator[tuple[str, types.FunctionType]]:
    for name, member in vars(kind).items():
        if isinstance(member, property):
            functions = [member.fget, member.fset, member.fdel]
        elif _is_special(name):
            functions = [function_behind(member)]
        else:
            continue
        for function in functions:
            if isinstance(function, types.FunctionType):
                if function.__globals__ is knowledge.namespace:
                    yield f"{kind.__qualname__}.{name}", function


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _SHOWN
