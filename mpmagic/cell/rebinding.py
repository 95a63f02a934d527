"""Names of the notebook that its functions bind, wherever they may be called from.

What the body calls by name the summaries of functions tell. A function may be reached otherwise,
through a list of callbacks or a method: for what runs ahead that there is one is enough to know.
"""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Iterator

from mpmagic.cell.attribute import function_behind
from mpmagic.cell.knowledge import Knowledge
from mpmagic.cell.syntax import walk

__all__ = ["rebound_by_functions"]


def rebound_by_functions(names: set[str], knowledge: Knowledge) -> set[str]:
    """Those of `names` that some function or method of the notebook declares global and binds."""
    found: set[str] = set()
    for code in _codes(knowledge):
        found |= _bound_by(code, names)
    for definition in (*knowledge.definitions.values(), *knowledge.classes.values()):
        declared = (node for node in walk(definition) if isinstance(node, ast.Global))
        found |= {name for node in declared for name in node.names} & names
    return found


def _codes(knowledge: Knowledge) -> Iterator[types.CodeType]:
    """The codes of the notebook's own functions, those of its classes included."""
    for value in list(knowledge.namespace.values()):
        members = [value]
        if isinstance(value, type) and value.__module__ == "__main__":
            members = [m.fget if isinstance(m, property) else m for m in vars(value).values()]
        for member in members:
            function = function_behind(member)
            if isinstance(function, types.FunctionType):
                if function.__globals__ is knowledge.namespace:
                    yield function.__code__


def _bound_by(code: types.CodeType, names: set[str]) -> set[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    found: set[str] = set().union(*(_bound_by(c, names) for c in inner))
    if not names.isdisjoint(code.co_names):  # to look at instructions takes longer
        steps = dis.get_instructions(code)
        found |= {s.argval for s in steps if s.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")}
    return found & names
