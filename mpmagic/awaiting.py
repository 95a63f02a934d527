"""Cells that await: a magic returns before anything is awaited, so the cell has to await it.

IPython makes ``get_ipython().run_cell_magic('parallel', line, cell)`` of a cell with the magic.
Where the cell's own code awaits, that call gets an ``await`` in front, and the magic gives a
coroutine: IPython then runs the cell as it runs any that awaits, in the notebook's own event loop.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["awaits_itself", "first_await", "have_awaited", "may_await"]

_CALL: Final = "get_ipython().run_cell_magic('parallel', "


def have_awaited(shell: Any) -> None:
    """Have a shell's parallel cells awaited that await; once is enough."""
    transformers = shell.input_transformers_post
    if not any(isinstance(transformer, _Awaiting) for transformer in transformers):
        transformers.append(_Awaiting(shell))


def first_await(tree: ast.Module) -> int:
    """The line in which a cell's own code first awaits; 0 if it doesn't."""
    return min((node.lineno for node in _top_level(tree) if _awaits(node)), default=0)


def may_await(text: str) -> bool:
    """Whether it's worth looking: a source that awaits says so in words."""
    return "await" in text or "async" in text


def awaits_itself(filename: str) -> bool:
    """Whether the cell that is running, compiled under that name, awaits what the magic gives."""
    return linecache.getline(filename, 1).startswith(f"await {_CALL}")


class _Awaiting:
    """Transforms the lines that IPython has made of a cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        """The lines, awaited if need be."""
        text = "".join(lines)
        if not text.startswith(_CALL) or not may_await(text):
            return lines
        try:
            call = ast.parse(text, mode="eval").body
            assert isinstance(call, ast.Call) and isinstance(call.args[-1], ast.Constant)
            cell = ast.parse(self._shell.transform_cell(call.args[-1].value))
        except SyntaxError:  # the magic shows it
            return lines
        return [f"await {text}"] if first_await(cell) else lines


def _awaits(node: ast.AST) -> bool:
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
        return any(generator.is_async for generator in node.generators)
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)


def _top_level(tree: ast.Module) -> Iterator[Any]:
    """The nodes of a cell that don't belong to a function."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))
