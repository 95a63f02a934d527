"""Whether work may run once more, in another process, as if it had never run.

What it has changed in the process that it ran in is thrown away. So it mustn't change anything
outside: that is taken for sure only of the notebook's functions, which are followed, of builtins
and of libraries that compute.
"""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.cell.attribute import attribute, function_behind
from mpmagic.cell.knowledge import UNKNOWN, Knowledge
from mpmagic.cell.outside import body_of, reached, what_it_writes

__all__ = ["computes_only", "is_repeatable"]

_COMPUTING: Final = frozenset(
    {"__main__", "_bisect", "_collections", "_collections_abc", "_csv", "_datetime", "_decimal",
     "_functools", "_heapq", "_io", "_operator", "_random", "_struct", "_warnings", "abc", "array",
     "base64", "bisect", "builtins", "bz2", "calendar", "cmath", "collections", "copy", "copyreg",
     "csv", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "genericpath",
     "glob", "gzip", "hashlib", "heapq", "io", "itertools", "json", "lzma", "math", "numbers",
     "numpy", "operator", "pandas", "posixpath", "random", "re", "scipy", "sklearn", "statistics",
     "string", "struct", "textwrap", "time", "types", "typing", "unicodedata", "warnings", "zlib",
     "zoneinfo"}
)  # fmt: skip
_OF_OTHERS: Final = frozenset(
    {"__import__", "breakpoint", "compile", "eval", "exec", "exit", "help", "input", "quit"}
)
_WRITING_ARRAYS: Final = frozenset(
    {"memmap", "open_memmap", "save", "savez", "savez_compressed", "savetxt", "tofile", "dump"}
)


def computes_only(modules: Iterable[str]) -> bool:
    """Whether functions and classes of these modules only compute, but for what is listed."""
    return all(module.partition(".")[0] in _COMPUTING for module in modules)


def is_repeatable(
    parts: Iterable[ast.AST], knowledge: Knowledge, functions: Iterable[types.FunctionType] = ()
) -> bool:
    """Whether code may run once more.

    Parameters
    ----------
    parts
        The code.
    knowledge
        What names stand for.
    functions
        Functions that it may come to in ways that the source doesn't show.
    """
    nodes = [*parts, *_methods(knowledge)]
    for function in functions:
        nodes += body_of(function, knowledge)
    return all(_is_harmless(part, knowledge) for node in nodes for part in reached(node, knowledge))


def _methods(knowledge: Knowledge) -> list[ast.stmt]:
    """The names of the notebook's classes, whose methods operators and attributes may call."""
    found: list[ast.stmt] = []
    for value in list(knowledge.namespace.values()):
        kind = value if isinstance(value, type) else type(value)
        if kind.__module__ == "__main__":
            members = [n for base in kind.__mro__ for n in vars(base) if _is_code(vars(base)[n])]
            owner = ast.Constant(None)
            found += [ast.Expr(ast.Attribute(owner, name, ast.Load())) for name in members]
    return found


def _is_code(member: Any) -> bool:
    return isinstance(function_behind(member), types.FunctionType | property)


def _is_harmless(part: ast.AST | str, knowledge: Knowledge) -> bool:
    match part:
        case str() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            return False
        case ast.Name(id=name):
            return _is_known(name, knowledge)
        case ast.Attribute(attr=name):
            return name not in _WRITING_ARRAYS and _computes(knowledge.resolve(part))
        case ast.Import(names=names):
            return computes_only(alias.name for alias in names)
        case ast.ImportFrom(module=module, level=level):
            return not level and computes_only([module or ""])
        case ast.Call():
            return not what_it_writes(part, knowledge)
    return True


def _is_known(name: str, knowledge: Knowledge) -> bool:
    value = knowledge.value(name)
    if value is getattr(builtins, name, UNKNOWN):
        return name not in _OF_OTHERS
    return _computes(value)


def _computes(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return computes_only([value.__name__])
    if value is UNKNOWN or not callable(value):
        return True
    return computes_only([str(attribute(value, "__module__", "") or "builtins")])
