"""Parts of items that can't travel to a worker: an Axes, an open file, a generator, a connection.

They stay in the kernel: what touches them is a commit, and the worker gets the rest of the item.
"""

from __future__ import annotations

import ast
import io
import sys
import types
from collections.abc import Iterator
from typing import Any

from mpmagic.run.codec import Encoder
from mpmagic.run.log import LOST
from mpmagic.run.side import Side
from mpmagic.run.watch import is_inert

__all__ = ["masked", "parts_of", "staying_names"]


def staying_names(target: ast.expr, item: Any, side: Side) -> dict[str, str]:
    """Names of a loop's target whose values can't travel, and the types of these.

    Parameters
    ----------
    target
        The loop's target.
    item
        Its first item, of which the others are taken to be like.
    side
        The kernel's side.
    """
    parts = [(name, part) for name, part in parts_of(target, item) if not is_inert(part)]
    stuck = {name: part for name, part in parts if _is_the_kernels(part)}
    if len(stuck) < len(parts) and not _can_be_packed(
        [p for n, p in parts if n not in stuck], side
    ):
        stuck |= {name: part for name, part in parts if not _can_be_packed(part, side)}
    return {name: type(part).__name__ for name, part in stuck.items()}


def masked(target: ast.expr, item: Any, names: dict[str, str]) -> Any:
    """The item as a worker gets it: without what stays."""
    if isinstance(target, ast.Name):
        return LOST if target.id in names else item
    elements = _elements(target, item)
    if elements is None:
        return item
    return tuple(masked(inner, part, names) for inner, part in elements)


def parts_of(target: ast.expr, item: Any) -> Iterator[tuple[str, Any]]:
    """The names of a target with what an item binds them to."""
    if isinstance(target, ast.Name):
        yield target.id, item
        return
    for inner, part in _elements(target, item) or ():
        yield from parts_of(inner, part)


def _elements(target: ast.expr, item: Any) -> list[tuple[ast.expr, Any]] | None:
    """The parts of a target with those of an item; None where they can't be told one by one."""
    if not isinstance(target, ast.Tuple | ast.List) or type(item) not in (tuple, list):
        return None
    if len(target.elts) != len(item) or any(isinstance(e, ast.Starred) for e in target.elts):
        return None
    return list(zip(target.elts, item, strict=True))


def _is_the_kernels(value: Any) -> bool:
    """Whether a pickle of it would be another thing: another file, a figure of its own."""
    if isinstance(value, io.IOBase):
        return not isinstance(value, io.StringIO | io.BytesIO)
    if isinstance(value, types.GeneratorType):
        return True
    artist = sys.modules.get("matplotlib.artist")
    return artist is not None and isinstance(value, artist.Artist)


def _can_be_packed(value: Any, side: Side) -> bool:
    try:
        Encoder(side, by_reference=True).encode(value)
    except Exception:  # whatever a class's own pickling raises
        return False
    return True
