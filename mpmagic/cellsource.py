"""The source of a cell with a magic: where it stands in the notebook, and its tree."""

from __future__ import annotations

import ast
import sys
import warnings
from typing import TYPE_CHECKING, Any

from mpmagic.celltext import blank_lines_above, is_magic

if TYPE_CHECKING:
    from mpmagic.cell.compiled import Warned

__all__ = ["parsed", "placed"]


def parsed(shell: Any, cell: str, filename: str, offset: int) -> tuple[ast.Module, Warned]:
    """The cell's tree, and what the compiler warns of in it.

    A syntax error is shown as that of any cell, without our frames.
    """
    from mpmagic.show.failing import show_bare

    try:
        source = shell.transform_cell(cell)
        offset += blank_lines_above(cell)  # which IPython leaves out
        return _compiled(shell, "\n" * offset + source, filename)
    except SyntaxError as error:
        if error.filename != filename and error.lineno is not None:  # IPython's tokeniser
            error.filename, error.lineno = filename, error.lineno + offset
        show_bare(error, shell.SyntaxTB)
        raise


def _compiled(shell: Any, source: str, filename: str) -> tuple[ast.Module, Warned]:
    """The source's tree; what the parser warns of is shown, as IPython does."""
    from mpmagic.cell.compiled import features_of, warnings_kept

    features = features_of(shell.compile.flags)
    allowed = features | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings_kept() as by_parser:
        tree: ast.Module = compile(
            source, filename, "exec", dont_inherit=True, flags=features | ast.PyCF_ONLY_AST
        )
    tree = shell.transform_ast(tree)  # as the user, or a library such as SymPy, has asked for
    with warnings_kept() as by_compiler:
        compile(tree, filename, "exec", dont_inherit=True, flags=allowed)
    # IPython compiles a cell before that, to see whether it awaits; in a kernel, twice.
    for _ in range(2 if hasattr(shell, "kernel") else 1):
        if by_parser or by_compiler:
            shell.should_run_async(source, transformed_cell=source)
    for warning in by_parser:
        warnings.showwarning(*warning)
    return tree, by_compiler


def placed(shell: Any, line: str, cell: str) -> tuple[str, str, int]:
    """The cell's file name, its text and how many lines stand above the cell's code."""
    raw = shell.user_ns.get("In", [""])[-1:]
    history = shell.history_manager
    raws = history.input_hist_raw if history is not None else raw
    text = raws[-1] if raws and raws[-1].rstrip().endswith(cell.rstrip()) else ""
    if not text.startswith("%%"):
        text = f"%%parallel {line}".rstrip() + "\n" + cell
    offset = text.rstrip().count("\n") - cell.rstrip().count("\n")
    known = shell.compile._filename_map
    frame = sys._getframe()
    while frame is not None:
        filename = frame.f_code.co_filename
        if frame.f_globals is shell.user_ns and filename in known:
            if is_magic(filename):
                return filename, text, offset
            break  # code of the user's that calls the magic
        frame = frame.f_back  # type: ignore[assignment]
    return shell.compile.cache(text, shell.execution_count), text, offset
