"""Every cell of the table in workers that have done nothing yet: `python -m tests.soak.cold`.

    python -m tests.soak.cold [SHARD SHARDS]

The suite's workers are warm: earlier cells, or imports ahead, have loaded what a cell needs. Here
each cell gets new ones, which import nothing ahead. Prints the cells on which they are different.
"""

from __future__ import annotations

import sys

from mpmagic.pool import preload
from tests.cells.gaps import RACES
from tests.cells.test_table import CASES, check
from tests.notebook import Notebook


def main(shard: int = 0, shards: int = 1) -> int:
    """Check the cells of a share; the exit status."""
    preload._installed = lambda _: []
    cases = [c for c in CASES if c.engine in ("", "pool") and c.id not in RACES][shard::shards]
    failed = 0
    notebook = Notebook()
    notebook.on_pool()
    for number, case in enumerate(cases, 1):
        notebook.shell.run_line_magic("mppool", "restart")
        try:
            check(case, notebook, "-n 2")
        except AssertionError as error:
            failed += 1
            print(f"{case.id}: {error}", flush=True)
        if not number % 200 or number == len(cases):
            print(f"{number} of {len(cases)} cells, {failed} failed", flush=True)
    notebook.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
