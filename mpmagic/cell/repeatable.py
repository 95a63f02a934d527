"""Whether work may run once more, in another process, as if it had never run.

What it has changed in the process that it ran in is thrown away. What it does outside of that is
seen while it runs (`mpmagic.run.audited`), as far as Python itself does it: opens files, makes
directories, starts processes, speaks to the network. Compiled libraries may do such things by
themselves; so only those count that are known to compute.
"""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["computes_only", "is_repeatable"]

_COMPUTING: Final = frozenset({"__main__", "numpy", "pandas", "scipy", "sklearn", "tqdm"})
_SHARING: Final = frozenset(
    {"_ctypes", "_curses", "_dbm", "_gdbm", "_multiprocessing", "_posixshmem", "_thread",
     "_tkinter", "asyncio", "concurrent", "ctypes", "curses", "dbm", "fcntl", "mmap",
     "multiprocessing", "pty", "readline", "select", "selectors", "shelve", "syslog", "termios",
     "threading", "tkinter", "turtle"}
)  # fmt: skip
"""Modules of the standard library that share memory, terminals or threads, or write by C code."""

_UNSEEN: Final = frozenset({"HDFStore", "__import__", "import_module", "mkfifo", "mknod", "to_hdf"})
"""Names of what writes, or may come to anything, and isn't seen."""


def computes_only(modules: Iterable[str]) -> bool:
    """Whether what functions and classes of these modules do outside Python would be seen."""
    tops = {module.partition(".")[0] for module in modules}
    return all(
        top in _COMPUTING or (top in sys.stdlib_module_names and top not in _SHARING)
        for top in tops
    )


def is_repeatable(codes: Iterable[types.CodeType]) -> bool:
    """Whether code comes to nothing but such modules, by what it imports.

    Parameters
    ----------
    codes
        That of the work, and of all functions of the notebook that it may call.
    """
    return all(
        _UNSEEN.isdisjoint(code.co_names) and computes_only(_imported_by(code))
        for outer in codes
        for code in _with_inner(outer)
    )


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)


def _imported_by(code: types.CodeType) -> list[str]:
    steps = dis.get_instructions(code)
    return [str(step.argval) for step in steps if step.opname == "IMPORT_NAME"]
