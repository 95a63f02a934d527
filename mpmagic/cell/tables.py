"""What calls do, as data: which methods mutate, which functions draw, print or look around.

The analysis knows the source of the notebook's own functions; of the rest it knows what is
written here. Methods of types that aren't listed count as pure where their result is used and as
mutating where they stand as a statement of their own; what that misses is found at run time, by
comparing what a worker holds with what it was sent.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import fractions
import functools
import pathlib
import re
import sys
import types
from typing import Any, Final

from mpmagic.cell.attribute import attribute
from mpmagic.heaptypes import is_heap_type

__all__ = [
    "FRESH_CALLS",
    "FRESH_METHODS",
    "IMMUTABLE_TYPES",
    "READING_METHODS",
    "accessors",
    "call_draws",
    "is_immutable_type",
    "is_process_state",
    "is_random",
    "is_tabular",
    "method_draws",
    "mutated_arguments",
    "mutates",
    "never_mutates_arguments",
]

IMMUTABLE_TYPES: Final[tuple[type, ...]] = (
    str, bytes, int, float, complex, bool, type(None), type(...), type(NotImplemented), range,
    tuple, frozenset, slice,
    pathlib.PurePath, decimal.Decimal, fractions.Fraction,
    datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo,
    re.Pattern, re.Match,
    types.BuiltinFunctionType, types.ModuleType, types.FunctionType, types.MethodType,
)  # fmt: skip

_LIST = {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"}
_SET = {
    "add", "discard", "remove", "pop", "clear", "update", "difference_update",
    "intersection_update", "symmetric_difference_update",
}  # fmt: skip
_DICT = {"pop", "popitem", "clear", "update", "setdefault", "move_to_end", "subtract"}
_QUEUE = {"put", "get", "put_nowait", "get_nowait", "task_done", "join", "close", "join_thread",
          "cancel_join_thread"}  # fmt: skip
_FILE = {"read", "readline", "readlines", "write", "writelines", "seek", "truncate", "flush",
         "close", "readinto", "read1", "detach"}  # fmt: skip

# By the name of the type's class or of one of its bases: nothing needs importing for a look-up.
_MUTATING: Final[dict[str, frozenset[str]]] = {
    "builtins.list": frozenset(_LIST),
    "collections.deque": frozenset(_LIST | {"appendleft", "extendleft", "popleft", "rotate"}),
    "builtins.bytearray": frozenset(_LIST),
    "builtins.set": frozenset(_SET),
    "builtins.dict": frozenset(_DICT),
    "array.array": frozenset(_LIST | {"byteswap", "frombytes", "fromfile", "fromlist"}),
    "_io._IOBase": frozenset(_FILE),
    "builtins.generator": frozenset({"send", "throw", "close", "__next__"}),
    "queue.Queue": frozenset({"put", "get", "put_nowait", "get_nowait", "task_done", "join"}),
    "_queue.SimpleQueue": frozenset({"put", "get", "put_nowait", "get_nowait"}),
    "numpy.ndarray": frozenset(
        {"sort", "fill", "partition", "put", "resize", "itemset", "setfield", "setflags"}
    ),
    "random.Random": frozenset({"seed", "setstate"}),
    "threading.Event": frozenset({"set", "clear"}),
    "multiprocessing.queues.Queue": frozenset(_QUEUE),
    "multiprocessing.queues.SimpleQueue": frozenset(_QUEUE),
    "multiprocessing.connection._ConnectionBase": frozenset(
        {"send", "recv", "send_bytes", "recv_bytes", "recv_bytes_into", "close", "poll"}
    ),
    "multiprocessing.synchronize.SemLock": frozenset({"acquire", "release"}),
    "multiprocessing.synchronize.Condition": frozenset(
        {"acquire", "release", "wait", "wait_for", "notify", "notify_all"}
    ),
    "multiprocessing.synchronize.Event": frozenset({"set", "clear", "wait"}),
    "threading.Barrier": frozenset({"wait", "reset", "abort"}),
}

# Types whose methods don't change the receiver, though they stand as a statement: what such a
# statement is for lies outside (a directory made, a file written), or nothing at all.
_READERS: Final[dict[str, frozenset[str]]] = {
    "pandas.core.generic.NDFrame": frozenset(
        {"to_csv", "to_parquet", "to_json", "to_pickle", "to_excel", "to_feather", "to_hdf",
         "to_sql", "to_html", "to_latex", "to_markdown", "to_string", "info", "head", "describe"}
    ),
    "numpy.ndarray": frozenset({"tofile", "dump"}),
    "polars.dataframe.frame.DataFrame": frozenset({"write_csv", "write_parquet", "write_json"}),
}  # fmt: skip

# The same of receivers of unknown type: names that say that the receiver is read or stands for
# something outside. One that changes its receiver nevertheless is found at run time.
_READING_NAMES: Final = frozenset(
    {"to_csv", "to_parquet", "to_json", "to_pickle", "to_excel", "to_feather", "to_hdf", "to_sql",
     "to_html", "to_latex", "to_markdown", "write_csv", "write_parquet", "write_text",
     "write_bytes", "mkdir", "rmdir", "unlink", "touch", "rename", "chmod", "symlink_to",
     "hardlink_to", "tofile"}
)  # fmt: skip

# Methods that hand out a part of their receiver rather than something new.
_ACCESSORS: Final[dict[str, frozenset[str]]] = {
    "builtins.list": frozenset({"pop", "__getitem__"}),
    "collections.deque": frozenset({"pop", "popleft"}),
    "builtins.dict": frozenset({"get", "setdefault", "pop", "popitem", "values", "items"}),
    "builtins.set": frozenset({"pop"}),
    "numpy.ndarray": frozenset(
        {"reshape", "ravel", "view", "transpose", "squeeze", "swapaxes", "diagonal"}
    ),
}

_RANDOM_TYPES: Final = frozenset(
    {"random.Random", "numpy.random.mtrand.RandomState", "numpy.random._generator.Generator"}
)
_NOT_DRAWS: Final = frozenset(
    {"getstate", "get_state", "bit_generator", "__getstate__", "spawn", "seed", "setstate"}
)

# What modules written in C, or for one version of Python, are public as.
_PUBLIC: Final = {
    "_codecs": "codecs", "_csv": "csv", "_decimal": "decimal", "_py_warnings": "warnings",
    "_socket": "socket",
}  # fmt: skip

_MAKING_WHAT_STAYS: Final = frozenset(
    {"_io.open", "io.open", "gzip.open", "bz2.open", "lzma.open", "tempfile.NamedTemporaryFile",
     "tempfile.TemporaryFile", "_thread.allocate_lock", "_thread.lock", "_thread.RLock",
     "threading.RLock", "threading.Lock", "socket.socket", "socket.create_connection",
     "_sqlite3.connect", "sqlite3.connect"}
)  # fmt: skip

# Library functions that mutate arguments, by position.
_MUTATED_ARGUMENTS: Final[dict[str, tuple[int, ...]]] = {
    "builtins.next": (0,),
    "builtins.setattr": (0,),
    "builtins.delattr": (0,),
    "_heapq.heappush": (0,),
    "_heapq.heappop": (0,),
    "_heapq.heapify": (0,),
    "_heapq.heappushpop": (0,),
    "_heapq.heapreplace": (0,),
    "_heapq.heappush_max": (0,),
    "_heapq.heappop_max": (0,),
    "_heapq.heapify_max": (0,),
    "_heapq.heappushpop_max": (0,),
    "_heapq.heapreplace_max": (0,),
    "heapq.heappush": (0,),
    "heapq.heappop": (0,),
    "_bisect.insort_right": (0,),
    "_bisect.insort_left": (0,),
    "_bisect.insort": (0,),
    "_operator.setitem": (0,),
    "_operator.delitem": (0,),
    "_operator.iadd": (0,),
    "random.shuffle": (0,),
    "numpy.copyto": (0,),
    "numpy.put": (0,),
    "numpy.place": (0,),
    "numpy.putmask": (0,),
    "numpy.fill_diagonal": (0,),
    "numpy.put_along_axis": (0,),
    "numpy.random.shuffle": (0,),
    "copy.replace": (),
}

# Functions whose arguments stay as they are, whatever is handed in.
_PURE_BUILTINS: Final = frozenset(
    {"abs", "all", "any", "ascii", "bin", "bool", "bytes", "callable", "chr", "complex", "dict",
     "divmod", "float", "format", "frozenset", "getattr", "hasattr", "hash", "hex", "id", "int",
     "isinstance", "issubclass", "len", "list", "max", "min", "oct", "ord", "pow", "print",
     "range", "repr", "round", "set", "slice", "sorted", "str", "sum", "tuple", "type"}
)  # fmt: skip

# Callables whose result shares nothing mutable with their arguments.
FRESH_CALLS: Final = frozenset(
    {"abs", "all", "any", "ascii", "bin", "bool", "bytes", "callable", "chr", "complex",
     "divmod", "float", "format", "hash", "hex", "id", "int", "isinstance", "issubclass", "len",
     "oct", "ord", "pow", "print", "range", "repr", "round", "str"}
)  # fmt: skip


# Methods that leave their receiver as it is, whatever it is.
READING_METHODS: Final = frozenset(
    {"all", "any", "astype", "copy", "count", "decode", "dot", "encode", "endswith", "format",
     "get", "index", "isoformat", "item", "items", "join", "keys", "lower", "max", "mean", "median",
     "min", "prod", "reshape", "round", "split", "startswith", "std", "strftime", "strip", "sum",
     "title", "tobytes", "tolist", "total_seconds", "upper", "values", "var"}
)  # fmt: skip

# Those of them whose result shares nothing mutable with the receiver.
FRESH_METHODS: Final = READING_METHODS - {"get", "item", "items", "keys", "reshape", "values"}


def _bases(kind: type) -> tuple[str, ...]:
    is_static = not is_heap_type(kind)  # it never changes, and lives as long as we do
    return _bases_of_static(kind) if is_static else _names_of_bases(kind)


def _names_of_bases(kind: type) -> tuple[str, ...]:
    return tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)


_bases_of_static: Final = functools.cache(_names_of_bases)


def inputs_of(callee: Any) -> int | None:
    """How many arrays a ufunc takes, after which comes the one for the result; None of others."""
    numpy = sys.modules.get("numpy")
    is_ufunc = numpy is not None and isinstance(callee, numpy.ufunc)
    return int(callee.nin) if is_ufunc else None


def is_immutable_type(kind: type | None) -> bool:
    """Whether no method of the type can change its receiver.

    A tuple counts: what it holds may change, but not by a method of the tuple.
    """
    if kind is None:
        return False
    return issubclass(kind, IMMUTABLE_TYPES) or _is_array_scalar(kind)


def _is_array_scalar(kind: type) -> bool:
    return any(b.__qualname__ == "generic" and b.__module__ == "numpy" for b in kind.__mro__)


def is_process_state(value: Any) -> bool:
    """Whether code that doesn't name it may see what changes it: a module, the environment."""
    if isinstance(value, types.ModuleType):
        return True
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}" in _PROCESS_WIDE


_PROCESS_WIDE: Final = frozenset(
    {"os._Environ", "matplotlib.RcParams", "pandas._config.config.DictWrapper"}
)


def is_tabular(kind: type | None) -> bool:
    """Whether it is a type of arrays or frames, which copy what is stored into them."""
    copying = ("numpy.ndarray", "pandas.core.generic.NDFrame")
    return kind is not None and any(base in copying for base in _bases(kind))


def mutates(kind: type | None, method: str, *, statement: bool) -> bool:
    """Whether calling `method` on a value of type `kind` may change that value.

    Parameters
    ----------
    kind
        The receiver's type, None where it isn't known.
    method
        The method's name.
    statement
        Whether the call stands as a statement of its own, its result unused.
    """
    if kind is None:
        return statement and method not in _READING_NAMES
    if is_immutable_type(kind):
        return False
    bases = _bases(kind)
    if method_draws(kind, method):
        return True
    for base in bases:
        if method in _MUTATING.get(base, ()):
            return True
        if method in _READERS.get(base, ()):
            return False
    if kind in (list, dict, set, collections.deque):
        return False
    return statement


def accessors(kind: type | None, method: str) -> bool:
    """Whether `method` hands out a part of its receiver (``d.get(k)``)."""
    return kind is not None and any(method in _ACCESSORS.get(base, ()) for base in _bases(kind))


def is_random(kind: type | None) -> bool:
    """Whether it's a type of random generators."""
    return kind is not None and not _RANDOM_TYPES.isdisjoint(_bases(kind))


def method_draws(kind: type | None, method: str) -> bool:
    """Whether the call draws from a random generator."""
    return is_random(kind) and method not in _NOT_DRAWS


def qualified_name(function: Any) -> str:
    """``module.name`` of a library's function; empty where it has none."""
    name = attribute(function, "__name__")
    module = attribute(function, "__module__")
    if not isinstance(name, str) or not isinstance(module, str):
        return ""
    return f"{_PUBLIC.get(module, module)}.{name}"


def makes_what_stays(function: Any) -> bool:
    """Whether what a function makes can't travel between processes: a file, a lock."""
    return qualified_name(function) in _MAKING_WHAT_STAYS


def mutated_arguments(function: Any) -> tuple[int, ...]:
    """Positions of the arguments that a library's function changes in place."""
    return _MUTATED_ARGUMENTS.get(qualified_name(function), ())


def never_mutates_arguments(function: Any) -> bool:
    """Whether it is known that the function leaves its arguments as they are."""
    name = attribute(function, "__name__", "")
    return name in _PURE_BUILTINS and getattr(builtins, name, None) is function


def call_draws(function: Any) -> bool:
    """Whether the function draws from the global stream of `random` or `numpy.random`."""
    owner = attribute(function, "__self__")
    if owner is None or isinstance(owner, types.ModuleType):
        return False
    name = attribute(function, "__name__", "")
    module = str(type(owner).__module__)
    is_global = module == "random" or module.startswith("numpy.random")
    return is_global and method_draws(type(owner), name)
