"""How IPython shows an exception of a parallel cell: as it shows that of any other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpmagic.run.tidying import calls_back, tidy

__all__ = ["errors_shown"]


@contextmanager
def errors_shown(shell: Any) -> Iterator[None]:
    """Have an exception of the block shown with the frames that it has without the magic.

    Those of the magic come on top of it on its way to the shell, which looks at it there. So it's
    tidied when the shell does that: for its traceback, ``%tb``, ``%debug`` and `sys.last_value`.
    """
    try:
        yield
    except BaseException as error:
        _tidied_when_shown(error, shell)
        raise


def _tidied_when_shown(error: BaseException, shell: Any) -> None:
    looked_at = shell._get_exc_info

    def look(exc_tuple: Any = None) -> Any:
        shell._get_exc_info = looked_at
        given = sys.exc_info() if exc_tuple is None else exc_tuple
        if given[1] is not error:
            return looked_at(exc_tuple)
        if calls_back(error.__traceback__):  # else it's a mistake of ours: our frames say which
            tidy(error)
        return looked_at((given[0], error, error.__traceback__))

    shell._get_exc_info = look
