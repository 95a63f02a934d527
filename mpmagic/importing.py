"""Imports that a user waits for, without looks for garbage.

What modules make is no garbage, and it's enough to have the collector look at all that there is.
With pandas imported that takes 30 to 50 ms, a quarter of the first cell.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["import_for_cells", "without_collections"]


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep the garbage collector off in the block, and take for old what is there at its end.

    That is for what happens once: garbage of others' is taken for old too, and stays until the
    collector looks at everything.
    """
    was_on = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if not gc.get_freeze_count():  # else somebody has frozen what must stay so
            gc.freeze()  # into a generation that is never looked at, and from there to the oldest
            gc.unfreeze()
        if was_on:
            gc.enable()


def import_for_cells() -> None:
    """Import what plans, runs and shows an ordinary cell."""
    import mpmagic.engine.choosing
    import mpmagic.engine.processes
    import mpmagic.plans
    import mpmagic.pool.pickling
    import mpmagic.run.brief
    import mpmagic.run.cell
    import mpmagic.run.each
    import mpmagic.show.cellview
    import mpmagic.show.explain
    import mpmagic.show.failing  # noqa: F401
