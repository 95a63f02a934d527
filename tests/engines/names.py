"""What the tests of engines need in modules that workers can import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.notebook import Notebook


@contextmanager
def named(notebook: Notebook, **values: Any) -> Iterator[None]:
    """While open, each cell's notebook has these names, as if it had always had them."""
    notebook.keep(values)
    try:
        yield
    finally:
        notebook.keep({})
