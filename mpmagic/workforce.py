"""Who does the work of a notebook's magics: the pool, other engines, and how the kernel waits."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from mpmagic.importing import import_for_cells, without_collections

if TYPE_CHECKING:
    from mpmagic.engine.choosing import Chooser
    from mpmagic.pool import Pool
    from mpmagic.run.brief import BriefCells
    from mpmagic.run.each import EachCells
    from mpmagic.run.engine import Engine
    from mpmagic.run.past import Past
    from mpmagic.run.wait import Inbox
    from mpmagic.show.pooltable import LiveTable, WorkerTable

__all__ = ["Workforce"]


class Workforce:
    """The workers of one notebook, which start when they are needed.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
        The shell, whose names may stand for engines.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._pool: Pool | None = None
        self._inbox: Inbox | None = None
        self._chooser: Chooser | None = None
        self._on = ""
        self._method: str | None = None
        self._memory: int | None = None
        self._threads: int | None = None
        self._table: LiveTable | None = None
        self._each: EachCells | None = None
        self._past: Past | None = None
        self._brief: BriefCells | None = None

    def change(self, given: argparse.Namespace) -> None:
        """Do what ``%mppool`` is asked for."""
        if given.on is not None:
            self.engine_on(given.on, given.workers)  # to say at once what is wrong with it
            self._on = given.on
        if given.what == "stop" or _differ(given):
            self.close()
            self._method = given.start or self._method
            self._memory = given.memory or self._memory
            self._threads = self._threads if given.threads is None else given.threads
        elif given.what == "forget":
            self.each().forget()
            self.renew()
        elif given.what == "restart":
            self.renew()
        if given.workers is not None and self.named(None) == "processes":
            self.own_pool(given.workers).grow(given.workers)

    def close(self) -> None:
        """Stop the workers."""
        self._freeze_table()
        if self._chooser is not None:
            self._chooser.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def renew(self) -> None:
        """Replace the workers by new ones."""
        if self._pool is not None:
            self._pool.restart()

    def each(self) -> EachCells:
        """The cells that each worker of the pool runs before anything else."""
        from mpmagic.run.each import EachCells

        if self._each is None:
            self._each = EachCells()
        return self._each

    def past(self) -> Past:
        """What the iterations of loops took when their cells ran last."""
        from mpmagic.run.past import Past

        if self._past is None:
            self._past = Past()
        return self._past

    def brief(self) -> BriefCells:
        """The cells whose work was too short for workers."""
        from mpmagic.run.brief import BriefCells

        if self._brief is None:
            self._brief = BriefCells()
        return self._brief

    def table(self) -> WorkerTable | None:
        """The table; None in a notebook, where it's displayed already, and goes on living."""
        from mpmagic.show.pooltable import LiveTable, WorkerTable

        self._freeze_table()
        if self._pool is None or not LiveTable.can_live(self._shell):
            return WorkerTable(self._pool.workers() if self._pool is not None else [])
        self._table = LiveTable(self._shell.display_pub)
        self._table.show(self._pool)
        return None

    def _freeze_table(self) -> None:
        if self._table is not None:
            self._table.freeze()

    def named(self, on: str | None) -> str:
        """The name of the engine that a magic names, or of the default one."""
        return on or self._on or "processes"

    def engine_on(self, on: str | None, workers: int | None) -> Engine:
        """That engine."""
        from mpmagic.engine.choosing import Chooser

        if self._chooser is None:
            self._chooser = Chooser(self.own_pool, self.inbox(), lambda: self.each().work)
        return self._chooser.choose(self.named(on), self._shell.user_ns, workers)

    def executor_on(self, on: str | None) -> Any:
        """The executor that ``%mpcount`` runs on, if it isn't to make one of its own."""
        if self.named(on) == "processes":
            return self._pool
        return self.engine_on(on, None).executor

    def inbox(self) -> Inbox:
        """How the main thread waits."""
        from mpmagic.run.wait import Inbox

        if self._inbox is None:
            self._inbox = Inbox()
        return self._inbox

    def prepare(self, workers: int | None) -> None:
        """Begin to make workers, and import what cells need in the meantime."""
        if self._pool is None:
            with without_collections():
                pool = self.own_pool(workers)
                pool.grow(min(_SOON, pool.max_workers))
                import_for_cells()

    def default_workers(self) -> int:
        """How many workers the pool has, or will have."""
        from mpmagic.pool import cpu_count

        return self._pool.max_workers if self._pool is not None else cpu_count()

    def own_pool(self, workers: int | None) -> Pool:
        """The pool, with so many workers at least."""
        from mpmagic.pool import Pool

        if self._pool is None:
            self._pool = Pool(
                workers,
                mp_context=self._method,
                memory_limit=self._memory,
                threads=self._threads,
                preload=_PRELOAD,
                daemon=True,
            )
        elif workers is not None and workers > self._pool.max_workers:
            self._pool.grow(workers)
        return self._pool


_SOON: Final = 2
"""Workers for the first cell; if it has more to do, it gets more of them."""

_PRELOAD: Final = ("mpmagic.run.work", "mpmagic.run.taskwork", "xxhash")
"""What workers run; it imports nothing that starts threads."""


def _differ(given: argparse.Namespace) -> bool:
    """Whether workers are to be what those that there are can't become."""
    return any(asked is not None for asked in (given.start, given.memory, given.threads))
