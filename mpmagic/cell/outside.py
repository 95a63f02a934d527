"""What a call does that no name shows: files that it writes, clocks that it reads.

A call is followed through the functions of the notebook that it may reach. Of libraries the names
of their functions tell; a callee that isn't listed here counts as one that reads at most.
"""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.attribute import attribute, function_behind
from mpmagic.cell.files import may_write
from mpmagic.cell.functions import global_names, source_of, unwrapped
from mpmagic.cell.knowledge import UNKNOWN, Knowledge
from mpmagic.cell.modules import kept_global
from mpmagic.cell.syntax import walk

__all__ = ["callee_name", "outside_effect"]

_WRITING: Final = frozenset(
    {"savefig", "save", "savez", "savez_compressed", "savetxt", "dump", "write_text",
     "write_bytes", "write", "writelines", "writerow", "writerows", "to_csv", "to_parquet",
     "to_json", "to_pickle", "to_excel", "to_feather", "to_hdf", "to_sql", "tofile", "write_csv",
     "write_parquet", "imwrite", "imsave", "mkdir", "makedirs", "rmdir", "rmtree", "unlink",
     "renames", "symlink", "touch", "copyfile", "copytree", "copy2", "extractall",
     "urlretrieve", "save_model", "save_pretrained", "post", "put", "patch", "delete", "upload",
     "send", "sendall", "execute", "executemany", "executescript", "commit", "publish"}
)  # fmt: skip
_COMPUTING_MODULES: Final = frozenset({"numpy", "pandas", "scipy", "operator", "_operator"})
_OR_TEXT: Final = frozenset({"to_csv", "to_json", "dumps"})
_WRITING_MODULES: Final = frozenset({"shutil", "subprocess"})
_WRITING_FUNCTIONS: Final = frozenset(
    {"posix.system", "posix.remove", "posix.replace", "posix.chmod", "posix.link", "os.popen",
     "posix.rename", "os.removedirs"}
)  # fmt: skip
_OPENING: Final = frozenset({"open", "fdopen", "ZipFile", "TarFile", "GzipFile", "BZ2File"})
_MEASURING: Final = frozenset(
    {"now", "utcnow", "today", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns",
     "process_time", "process_time_ns", "thread_time", "thread_time_ns", "time_ns",
     "default_timer", "getrusage", "cpu_percent", "cpu_times", "memory_info", "virtual_memory",
     "get_traced_memory", "getloadavg", "elapsed_time", "synchronize"}
)  # fmt: skip
_CONSTRUCTION: Final = frozenset({"__new__", "__init__", "__post_init__", "__call__"})
_Body = list[ast.AST]


def outside_effect(node: ast.expr, knowledge: Knowledge) -> str:
    """Why a call must keep its place among the others, in words; empty if it needn't.

    Parameters
    ----------
    node
        The call.
    knowledge
        What names stand for.
    """
    for part in _reached(node, knowledge):
        if isinstance(part, str):
            return part
        if isinstance(part, ast.Call):
            effect = _effect(part, knowledge)
            if effect:
                return f"`{callee_name(part)}` {effect}"
    return ""


def callee_name(node: ast.Call) -> str:
    """The last part of the callee's name."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _effect(node: ast.Call, knowledge: Knowledge) -> str:
    name = callee_name(node)
    callee = knowledge.resolve(node.func)
    module = str(attribute(callee, "__module__", "") or "").partition(".")[0]
    clock = module == "time" and attribute(callee, "__name__", "") != "sleep"
    if clock or name in _MEASURING or (name == "time" and callee is UNKNOWN):
        return "reads a clock or a gauge"
    qualified = f"{module}.{attribute(callee, '__name__', '')}"
    if module in _WRITING_MODULES or qualified in _WRITING_FUNCTIONS:
        return "changes something outside Python"
    if name in _WRITING and module not in _COMPUTING_MODULES:
        text = name in _OR_TEXT and not node.args and not node.keywords
        if not text and not _is_own(node.func, knowledge):
            return "writes outside Python"
    if name in _OPENING and may_write(node):
        return "opens a file for writing"
    return ""


def _is_own(func: ast.expr, knowledge: Knowledge) -> bool:
    """Whether the name is a function of the notebook's own, which is looked into instead."""
    if not isinstance(func, ast.Name):
        return False
    value = unwrapped(knowledge.value(func.id))
    own = isinstance(value, types.FunctionType) and value.__globals__ is knowledge.namespace
    return own or func.id in knowledge.definitions


# -- what a call reaches -----------------------------------------------------------------------


def _reached(node: ast.expr, knowledge: Knowledge) -> Iterator[ast.AST | str]:
    """The nodes of a call and of the notebook's functions behind it; a reason to stop at once."""
    seen: set[int] = set()
    open_: _Body = [node]
    while open_:
        for part in walk(open_.pop()):
            yield part
            if isinstance(part, ast.Name):
                if _keeps_results(part.id, knowledge):
                    yield f"`{part.id}` keeps its results in a cache"
                found = _bodies_of_name(part.id, knowledge)
            elif isinstance(part, ast.Attribute):
                found = _methods_called(part.attr, knowledge)
            else:
                continue
            kept = kept_global(unwrapped(knowledge.resolve(part)), knowledge.namespace)
            if kept:
                yield f"`{ast.unparse(part)}` changes `{kept}` of its module"
            open_ += [b for b in found if id(b) not in seen]
            seen |= {id(b) for b in found}


def _keeps_results(name: str, knowledge: Knowledge) -> bool:
    """Whether calling it twice gives one object, which copies of its cache wouldn't."""
    defined = knowledge.definitions.get(name)
    if defined is not None:
        texts = [ast.unparse(d).partition("(")[0] for d in defined.decorator_list]
        return any(t.rpartition(".")[2] in ("cache", "lru_cache", "memoize") for t in texts)
    return isinstance(knowledge.value(name), functools._lru_cache_wrapper)


def _bodies_of_name(name: str, knowledge: Knowledge) -> _Body:
    if name in knowledge.definitions:
        return [knowledge.definitions[name]]
    if name in knowledge.classes:
        body = knowledge.classes[name].body
        return [m for m in body if isinstance(m, ast.FunctionDef) and m.name in _CONSTRUCTION]
    value = unwrapped(knowledge.value(name))
    if isinstance(value, type):
        return _methods(value, _CONSTRUCTION, knowledge)
    if isinstance(value, types.MethodType):
        value = value.__func__
    if isinstance(value, types.FunctionType):
        return _body(value, knowledge)
    return _methods(type(value), {"__call__"}, knowledge)


def _methods_called(name: str, knowledge: Knowledge) -> _Body:
    """The methods of that name which the notebook's classes have."""
    found: _Body = [
        method
        for kind in knowledge.classes.values()
        for method in kind.body
        if isinstance(method, ast.FunctionDef) and method.name == name
    ]
    values = [v for n, v in list(knowledge.namespace.items()) if not knowledge.is_hidden(n)]
    kinds = {v if isinstance(v, type) else type(v) for v in values}
    for kind in kinds:
        if kind.__module__ == "__main__":
            found += _methods(kind, {name}, knowledge)
    return found


def _methods(kind: type, names: Iterable[str], knowledge: Knowledge) -> _Body:
    members = [vars(base)[n] for base in kind.__mro__ for n in names if n in vars(base)]
    functions = [m.fget if isinstance(m, property) else function_behind(m) for m in members]
    return [b for f in functions if isinstance(f, types.FunctionType) for b in _body(f, knowledge)]


def _body(function: types.FunctionType, knowledge: Knowledge) -> _Body:
    """The source of a function of the notebook; what its bytecode calls where there is none."""
    if function.__globals__ is not knowledge.namespace:
        return []
    return [source_of(function.__code__) or _from_bytecode(function.__code__)]


@functools.lru_cache(maxsize=256)
def _from_bytecode(code: types.CodeType) -> Any:
    """Calls of all names that code loads: more than it makes, never less but for modes."""
    names = sorted({*global_names(code)[0], *_attributes(code)})
    calls: list[ast.expr] = [
        ast.Call(func=ast.Name(id=n, ctx=ast.Load()), args=[], keywords=[]) for n in names
    ]
    return ast.Tuple(elts=calls, ctx=ast.Load())


def _attributes(code: types.CodeType) -> set[str]:
    inner = [_attributes(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)
