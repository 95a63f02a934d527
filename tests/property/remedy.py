"""Whether a refused cell runs with the flags that its refusals name."""

from __future__ import annotations

import re
from typing import Final

from mpmagic.errors import NotParallel
from tests.compare import with_magic
from tests.notebook import Notebook
from tests.property.grammar import Cell

_FLAG: Final = re.compile(r"`(--(?:ahead|seed|private \w+|local \w+))\b")
_ROUNDS: Final = 4
"""Flags that are tried together at most: each may only show the next refusal."""


def has_remedy(notebook: Notebook, cell: Cell, why: str) -> bool:
    """Whether the first flags that refusals name, taken one after the other, end them.

    Parameters
    ----------
    notebook
        Where to run it.
    cell
        The cell, which was refused.
    why
        The refusal's text.
    """
    options = cell.options
    for _ in range(_ROUNDS):
        flag = next((f for f in _FLAG.findall(why) if f not in options), None)
        if flag is None:
            return False
        options = f"{options} {flag}{' 1' if flag == '--seed' else ''}".strip()
        outcome = notebook.run(cell.setup, with_magic(cell.source, options))
        if not isinstance(outcome.error, NotParallel):
            return True
        why = str(outcome.error)
    return False
