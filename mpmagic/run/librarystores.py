"""What the notebook has stored into libraries' modules: ``ImageFile.LOAD_TRUNCATED_IMAGES = True``.

The work needn't name it: the library reads it. Which attributes those are the cells tell that have
run. Plain values, functions and classes of libraries go to the workers; what is the notebook's own
is looked at only where the work names it, see `mpmagic.run.modules`.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Final, NamedTuple

from mpmagic.cell.compiled import warnings_kept
from mpmagic.cell.syntax import walk
from mpmagic.run.attributes import Attributes
from mpmagic.run.modules import ModuleState, is_users

__all__ = ["stored_states"]

_STORE: Final = re.compile(r"\.\w+[^=\n]*=(?!=)|run_cell_magic\(")
_OF_THE_KERNEL: Final = ("IPython", "ipykernel", "mpmagic", "__main__")
_OF_THE_PROCESS: Final = frozenset(
    {"path", "modules", "stdin", "stdout", "stderr", "ps1", "ps2", "displayhook", "excepthook"}
)
"""Attributes of `sys` that are each process's own, or carried in another way."""


class _Store(NamedTuple):
    """A store in the source of a cell.

    Attributes
    ----------
    root, path
        ``PIL.Image.MAX_IMAGE_PIXELS = n`` is one into the attributes ``path`` of the name ``root``.
    origin
        The module that the cell itself imports under that name; empty if it doesn't.
    """

    root: str
    path: tuple[str, ...]
    origin: str


def stored_states(
    namespace: Mapping[str, Any], reached: Iterable[str], names: Set[str]
) -> list[ModuleState]:
    """The states of the libraries' modules that cells have stored into.

    Parameters
    ----------
    namespace
        The notebook's, with the history of its cells.
    reached
        Modules of what was sent.
    names
        Names and attributes in the code of the work and of the functions that it calls.
    """
    found: dict[str, Attributes] = {}
    for store in {s for text in _cells_in(namespace) for s in _stores_in(text)}:
        module = _module_of(store, namespace)
        if module is not None and _is_carried(module, store.path[-1]):
            attributes = found.setdefault(module.__name__, Attributes())
            attributes.note(store.path[-1], vars(module)[store.path[-1]])
    needed = {module.partition(".")[0] for module in reached} | names
    return [
        ModuleState(name, b"", attributes, watched=False, needed=name.partition(".")[0] in needed)
        for name, attributes in found.items()
        if _forget_own(attributes)
    ]


def _cells_in(namespace: Mapping[str, Any]) -> list[str]:
    cells = namespace.get("In")  # anybody may have bound it to something else
    return [c for c in cells if isinstance(c, str)] if isinstance(cells, list) else []


def _is_carried(module: types.ModuleType, attribute: str) -> bool:
    if module is sys and attribute in _OF_THE_PROCESS:
        return False
    package = module.__name__.partition(".")[0]
    known = sys.modules.get(module.__name__) is module and package not in _OF_THE_KERNEL
    return known and attribute in vars(module) and not is_users(module)


def _forget_own(attributes: Attributes) -> bool:
    """Leave out functions and classes of the notebook; whether something is left."""
    for path, reference in list(attributes.references.items()):
        if reference.startswith("__main__:"):
            del attributes.references[path]
    return bool(attributes.data or attributes.references)


def _module_of(store: _Store, namespace: Mapping[str, Any]) -> types.ModuleType | None:
    """The module whose attribute is stored into; None if it's something else, or isn't there."""
    owner = namespace.get(store.root)
    if not isinstance(owner, types.ModuleType):
        owner = sys.modules.get(store.origin)
    for name in store.path[:-1]:
        owner = vars(owner).get(name) if isinstance(owner, types.ModuleType) else None
    return owner if isinstance(owner, types.ModuleType) else None


@functools.lru_cache(maxsize=4096)
def _stores_in(text: str) -> frozenset[_Store]:
    """The stores in the source of a cell."""
    if not _STORE.search(text):
        return frozenset()
    try:
        with warnings_kept():  # given when the cell ran
            nodes = list(walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return frozenset()
    imported = dict(_imports_in(nodes))
    inner = (_stores_in(body) for body in _bodies_in(nodes))
    own = {_Store(root, path, imported.get(root, "")) for root, path in _targets_in(nodes)}
    return frozenset(own).union(*inner)


def _targets_in(nodes: list[ast.AST]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            *inner, root = _dotted(node)
            if isinstance(root, ast.Name):
                yield root.id, tuple(reversed([str(part) for part in inner]))


def _dotted(node: ast.expr) -> Iterator[Any]:
    """The attributes from the last to the first, and what they are attributes of."""
    while isinstance(node, ast.Attribute):
        yield node.attr
        node = node.value
    yield node


def _imports_in(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Names that imports bind, with what would be their modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _bodies_in(nodes: list[ast.AST]) -> Iterator[str]:
    """The cells below magics, as IPython hands them on."""
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Attribute(attr="run_cell_magic"),
                args=[_, _, ast.Constant(value=str() as body)],
            ):
                yield body
