"""Files that go by the same name in each iteration: state that no name of the notebook stands for.

What such a file holds in the end depends on the order in which it's written, and what is read of
it on what was written before. A file whose name an iteration makes up is that iteration's own.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.knowledge import UNKNOWN
from mpmagic.cell.syntax import walk

__all__ = ["FileUse", "file_uses", "is_file", "may_write"]

_OPENING: Final = frozenset({"io.open", "_io.open", "gzip.open", "bz2.open", "lzma.open"})
_WRITING: Final[dict[str, tuple[int, ...]]] = {
    "posix.remove": (0,), "posix.unlink": (0,), "posix.rmdir": (0,), "posix.truncate": (0,),
    "posix.rename": (0, 1), "posix.replace": (0, 1), "posix.symlink": (1,), "posix.link": (1,),
    "shutil.copy": (1,), "shutil.copy2": (1,), "shutil.copyfile": (1,), "shutil.copytree": (1,),
    "shutil.move": (0, 1), "shutil.rmtree": (0,), "numpy.save": (0,), "numpy.savez": (0,),
    "numpy.savez_compressed": (0,), "numpy.savetxt": (0,), "joblib.numpy_pickle.dump": (1,),
}  # fmt: skip
"""The arguments of library functions that are paths of what they change."""

_READING: Final[dict[str, tuple[int, ...]]] = {
    "genericpath.exists": (0,), "genericpath.isfile": (0,), "genericpath.getsize": (0,),
    "genericpath.getmtime": (0,), "posix.stat": (0,), "numpy.load": (0,), "numpy.loadtxt": (0,),
    "numpy.genfromtxt": (0,), "shutil.copy": (0,), "shutil.copy2": (0,), "shutil.copyfile": (0,),
    "joblib.numpy_pickle.load": (0,),
}  # fmt: skip
_WRITING_ITSELF: Final = frozenset({"write_text", "write_bytes", "unlink", "touch", "rmdir"})
"""Methods of paths, whatever they are called on: nothing else has methods of these names."""

_READING_ITSELF: Final = frozenset({"read_text", "read_bytes", "exists", "is_file", "stat"})
_WRITING_TO: Final = frozenset(
    {"to_csv", "to_parquet", "to_json", "to_pickle", "to_excel", "to_feather", "to_stata", "tofile"}
)
"""Methods whose first argument is the path of what they write."""

_READING_FROM: Final = frozenset(
    {"read_csv", "read_parquet", "read_json", "read_pickle", "read_excel", "read_feather",
     "read_table", "fromfile"}
)  # fmt: skip
_PATHS: Final = frozenset({"path_or_buf", "path", "file", "fname", "filename", "excel_writer"})
_JOINING: Final = frozenset(
    {"posixpath.join", "pathlib.Path", "pathlib.PosixPath", "pathlib._local.Path",
     "pathlib._local.PosixPath", "builtins.str"}
)  # fmt: skip


_CALLED: Final = "the file "


class FileUse(NamedTuple):
    """A file that a call reads or writes.

    Attributes
    ----------
    name
        What stands for it among the names that the cell touches.
    writes
        Whether what it holds may be another one then, or whether it's there.
    """

    name: str
    writes: bool


def is_file(name: str) -> bool:
    """Whether a name stands for a file."""
    return name.startswith(_CALLED)


def file_uses(
    callee: Any, node: ast.Call, *, resolve: Callable[[ast.expr], Any], fixed: Callable[[str], bool]
) -> Iterator[FileUse]:
    """The files of which a call shows that each iteration would use the same.

    Parameters
    ----------
    callee, node
        What is called, `UNKNOWN` for methods of what isn't known, and the call.
    resolve
        Gives what an expression stands for.
    fixed
        Whether a name is bound to the same in all iterations.
    """
    for path, writes in _paths(callee, node):
        if _is_fixed(path, resolve, fixed):
            yield FileUse(f"{_CALLED}{ast.unparse(_bare(path, resolve))}", writes)


def _paths(callee: Any, node: ast.Call) -> Iterator[tuple[ast.expr, bool]]:
    name = "" if callee is UNKNOWN else tables.qualified_name(callee)
    if name in _OPENING:
        yield from ((path, may_write(node)) for path in _given(node, 0))
        return
    for table, writes in ((_READING, False), (_WRITING, True)):
        for position in table.get(name, ()):
            yield from ((path, writes) for path in _given(node, position))
    if not isinstance(node.func, ast.Attribute):
        return
    method, receiver = node.func.attr, node.func.value
    if method == "open" and callee is UNKNOWN:
        yield receiver, may_write(node)
    elif method in _WRITING_ITSELF or method in _READING_ITSELF:
        yield receiver, method in _WRITING_ITSELF
    elif method in _WRITING_TO or method in _READING_FROM:
        yield from ((path, method in _WRITING_TO) for path in _given(node, 0))


def _given(node: ast.Call, position: int) -> Iterator[ast.expr]:
    if position < len(node.args):
        yield node.args[position]
    elif position == 0:
        yield from (k.value for k in node.keywords if k.arg in _PATHS)


def may_write(node: ast.Call) -> bool:
    """Whether a call of `open` opens for more than reading."""
    place = 0 if isinstance(node.func, ast.Attribute) and _is_method(node) else 1
    modes = [k.value for k in node.keywords if k.arg in ("mode", None)]
    modes += node.args[place : place + 1]
    if any(isinstance(a, ast.Starred) for a in node.args):
        return True
    return any(
        not isinstance(m, ast.Constant)
        or not isinstance(m.value, str)
        or set(m.value) & set("wax+")
        for m in modes
    )


def _is_method(node: ast.Call) -> bool:
    """Whether ``x.open("w")`` is a path's method rather than a module's function."""
    first = node.args[0] if node.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    return first is None or (isinstance(text, str) and set(text) <= set("rwaxbt+"))


def _is_fixed(
    path: ast.expr, resolve: Callable[[ast.expr], Any], fixed: Callable[[str], bool]
) -> bool:
    """Whether a path is made of nothing but what each iteration has the same of."""
    for part in walk(path):
        if isinstance(part, ast.Call) and tables.qualified_name(resolve(part.func)) not in _JOINING:
            return False
        if isinstance(part, ast.Name) and not fixed(part.id):
            return False
    return True


def _bare(path: ast.expr, resolve: Callable[[ast.expr], Any]) -> ast.expr:
    """A path without what makes a `pathlib.Path` of it."""
    if isinstance(path, ast.Call) and len(path.args) == 1:
        if tables.qualified_name(resolve(path.func)).startswith("pathlib."):
            return path.args[0]
    return path
