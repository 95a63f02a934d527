"""mpmagic: one line on top of a notebook cell makes its loops use every core.

``%load_ext mpmagic`` brings ``%%parallel``, ``%mpcount`` and ``%mppool``. What they are made of
can be used without a notebook: `Pool`, an executor of persistent processes, `count_lines`, and
`shared`, arrays in memory that processes have in common. `mpmagic.mp` is `multiprocessing` for
notebooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from mpmagic.count import Counts, Lines, count_lines
    from mpmagic.pool import Pool
    from mpmagic.pool.sharedarray import shared

__all__ = ["Counts", "Lines", "Pool", "count_lines", "load_ipython_extension", "shared"]

_HOMES = {
    "Counts": "mpmagic.count",
    "Lines": "mpmagic.count",
    "Pool": "mpmagic.pool",
    "count_lines": "mpmagic.count",
    "shared": "mpmagic.pool.sharedarray",
}


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: what ``%load_ext mpmagic`` calls."""
    from mpmagic.importing import without_collections

    with without_collections():
        from mpmagic.magics import register

    register(shell)


def __getattr__(name: str) -> Any:
    # Workers import this package too: each name costs only those who ask for it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
