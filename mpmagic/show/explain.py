"""Where an explanation is shown: in a notebook as HTML, in a terminal in its colours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from mpmagic.cell.listing import Explanation
from mpmagic.errors import NotParallel
from mpmagic.show.terminal import Colour, coloured, has_colours, painted

__all__ = ["refusals_shown", "show_explanation"]


def show_explanation(explanation: Explanation, shell: Any) -> None:
    """Show what ``--explain`` is asked for."""
    if hasattr(shell, "kernel"):
        _display(explanation, alone=False)
    else:
        print(coloured(explanation) if has_colours(shell) else explanation)


@contextlib.contextmanager
def refusals_shown(shell: Any) -> Iterator[None]:
    """Have a refusal of the block shown with its listing, and without a traceback.

    In a notebook the listing is an output of its own above the error, which says why and what
    next. The text of the error itself is whole everywhere.
    """
    try:
        yield
    except NotParallel as error:
        if error.explanation is not None:
            lines = _rendered(error.explanation, shell)
            vars(error)["_render_traceback_"] = lambda: lines
        raise


def _rendered(explanation: Explanation, shell: Any) -> list[str]:
    colours = has_colours(shell)
    name = painted(NotParallel.__name__, Colour.RED) if colours else NotParallel.__name__
    if not hasattr(shell, "kernel"):
        return [f"{name}: {coloured(explanation) if colours else explanation}"]
    _display(explanation, alone=True)
    return [f"{name}: {explanation.before}\n\n{explanation.after}"]


def _display(explanation: Explanation, *, alone: bool) -> None:
    from IPython.display import display

    from mpmagic.show.listing import Listing

    display(Listing(explanation, alone=alone))
