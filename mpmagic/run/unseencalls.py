"""What functions read that may be called where the source doesn't show it.

They come out of a table, are properties and special methods, or are handed on. What they read of
what the loop binds, or what handlers of `logging` write, is another value at each place.
"""

from __future__ import annotations

import logging
import types
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.attribute import attribute
from mpmagic.cell.dependence import Dependence
from mpmagic.cell.split import SplitLoop
from mpmagic.run.capture import Captured, globals_of
from mpmagic.run.logged import written_by_handlers

__all__ = ["read_unseen"]

_FEW: Final = 1000
"""Parts of a container that are looked at for functions: tables of them are short."""


def read_unseen(
    dependence: Dependence, split: SplitLoop, captured: Captured, namespace: dict[str, Any]
) -> str:
    """Why a loop has to stay in the kernel for the sake of such functions; empty if it needn't.

    Parameters
    ----------
    dependence, split
        The loop.
    captured
        What its work reads.
    namespace
        The notebook's.
    """
    return (
        _by_work(dependence, split, captured)
        or _by_commits(dependence, split, namespace)
        or _of_handlers(captured)
    )


def _by_work(dependence: Dependence, split: SplitLoop, captured: Captured) -> str:
    bound = dependence.whole.binds.keys() | dependence.targets
    # Functions among the items read globals too.
    read = globals_of(captured.functions) | captured.names - split.captured
    unseen = read & bound - dependence.whole.hidden
    return (
        f"a function that the work may call reads `{min(unseen)}`, which it binds" if unseen else ""
    )


def _by_commits(dependence: Dependence, split: SplitLoop, namespace: dict[str, Any]) -> str:
    """Temporaries are the workers': the kernel has none where a commit runs."""
    temporary = split.private - dependence.whole.hidden
    for name in sorted(split.kernel_reads & namespace.keys()) if temporary else ():
        if read := _read_in(namespace, _functions_in(namespace[name])) & temporary:
            return f"a function in `{name}`, which a commit may call, reads `{min(read)}`"
    if temporary and (read := _read_in(namespace, _hooks()) & temporary):
        return f"a handler of `logging`, or a hook of the process, reads `{min(read)}`"
    return ""


def _read_in(namespace: dict[str, Any], functions: Iterable[types.FunctionType]) -> set[str]:
    return globals_of(f for f in functions if f.__globals__ is namespace)


def _hooks() -> Iterator[types.FunctionType]:
    """Functions that the kernel calls for what the work has logged or warned of."""
    for part in _of_loggers():
        if isinstance(part, types.FunctionType):
            yield part
        yield from (f for k in type(part).__mro__ for f in vars(k).values() if _is_own(f, k))
    if isinstance(warnings.showwarning, types.FunctionType):
        yield warnings.showwarning


def _of_loggers() -> Iterator[Any]:
    """What records pass through."""
    known = list(logging.root.manager.loggerDict.values())
    for logger in (logging.root, *(one for one in known if isinstance(one, logging.Logger))):
        yield from logger.filters
        for handler in logger.handlers:
            yield from (handler, handler.formatter, *handler.filters)


def _is_own(member: Any, kind: type) -> bool:
    return kind.__module__ == "__main__" and isinstance(member, types.FunctionType)


def _functions_in(value: Any) -> Iterator[types.FunctionType]:
    factory = attribute(value, "default_factory")  # of a `defaultdict`
    parts = value.values() if isinstance(value, dict) else value
    few = isinstance(value, dict | list | tuple) and len(value) < _FEW
    for part in (factory, *(parts if few else ())):
        if isinstance(part, types.FunctionType):
            yield part


def _of_handlers(captured: Captured) -> str:
    """Records of the work are written by the kernel's handlers: the work can't read them."""
    written = written_by_handlers()
    for name, value in captured.values.items():
        if id(value) in written:
            return f"the work reads `{name}`, to which a handler of `logging` writes"
    return ""
