"""Objects that can't be pickled and needn't be: work in threads of this process has the very same.

Only what the user has allowed each worker to keep its own of (``--local``) is lent, such as a
connection pool or a client, and only while a cell runs in threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["fetch_lent", "is_lending", "lend", "lending", "token_of"]

_tokens: Final[dict[int, int]] = {}
_lent: Final[dict[int, Any]] = {}
# Never used twice, as an object's identity may be: a thread keeps what it has loaded.
_numbers: Final = itertools.count(1)
_cells = 0


def is_lending() -> bool:
    """Whether a cell runs whose work has this process's objects at hand."""
    return _cells > 0


@contextmanager
def lending() -> Iterator[None]:
    """While open, objects can be lent."""
    global _cells
    _cells += 1
    try:
        yield
    finally:
        _cells -= 1
        if not _cells:
            _tokens.clear()
            _lent.clear()


def lend(value: Any) -> None:
    """Let an object travel as a token from now on."""
    if id(value) not in _tokens:
        token = _tokens[id(value)] = next(_numbers)
        _lent[token] = value


def token_of(value: Any) -> int | None:
    """The token of an object that is lent."""
    return _tokens.get(id(value))


def fetch_lent(token: int) -> Any:
    """The object of a token."""
    return _lent[token]
