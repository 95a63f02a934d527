"""The text of a cell as the notebook has it, and as IPython keeps it."""

from __future__ import annotations

import linecache

__all__ = ["blank_lines_above", "is_magic", "keep_text"]


def blank_lines_above(cell: str) -> int:
    """How many lines of a cell stand above its first one that isn't empty."""
    return cell[: len(cell) - len(cell.lstrip())].count("\n")


def is_magic(filename: str) -> bool:
    """Whether the cell that is compiled under a name is one of a magic's."""
    call = linecache.getline(filename, 1).removeprefix("await ")
    return call.startswith(("get_ipython().run_cell_magic(", "%%"))


def keep_text(filename: str, text: str) -> None:
    """Let tracebacks and `inspect` find a cell as it stands in the notebook."""
    lines = [line + "\n" for line in text.splitlines()]
    linecache.cache[filename] = (len(text), None, lines, filename)
