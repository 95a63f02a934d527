"""Many made-up cells, for hours if need be.

``python -m tests.property.long --cells 100000 --seed 1`` prints the shares of what was split,
refused and ended in an error, and every counterexample, made small. Its exit status is 1 if there
was one.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import time
import traceback

from tests.compare import Verdict
from tests.notebook import Notebook
from tests.property.drawing import make_drawing
from tests.property.grammar import Cell, make_cell
from tests.property.limit import OutOfTime, limited
from tests.property.remedy import has_remedy
from tests.property.trial import Trial, smallest, try_cell

HANG = 60.0
"""Seconds after which a cell hangs: the grammar's cells end within hundredths of one."""


class Tally:
    """The shares so far, and the counterexamples."""

    def __init__(self) -> None:
        self.shares: collections.Counter[str] = collections.Counter()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.different = 0
        self.crashed = 0

    def add(self, trial: Trial, *, remedy: bool) -> None:
        """Count a cell; `remedy` where a flag that its refusal names makes it run."""
        if trial.verdict is Verdict.EQUAL:
            self.shares["split" if trial.split else "stayed in the kernel"] += 1
        elif trial.verdict is Verdict.REFUSED:
            self.shares["refused with a flag that helps" if remedy else "refused for good"] += 1
        else:
            self.shares[trial.verdict.value] += 1
        if trial.verdict in (Verdict.REFUSED, Verdict.ERROR):
            self.reasons[trial.why.splitlines()[0][:100]] += 1

    def __str__(self) -> str:
        total = sum(self.shares.values()) or 1
        shares = (f"{name} {n} ({n / total:.1%})" for name, n in self.shares.most_common())
        return f"{total} cells: {', '.join(shares)}"


def main() -> int:
    """Run the command."""
    options = _options()
    notebook = Notebook()
    if options.pool:
        notebook.on_pool()
    else:
        notebook.inline()
    make = make_drawing if options.drawing else make_cell
    tally, began = Tally(), time.monotonic()
    for number in range(options.cells):
        _one(notebook, make(random.Random(f"{options.seed}-{number}")), number, tally)
        if (number + 1) % 200 == 0:
            print(f"[{time.monotonic() - began:.0f} s] {tally}", flush=True)
        if tally.different + tally.crashed >= options.stop_after:
            break
    print(f"{tally}; {tally.different} different, {tally.crashed} crashed")
    if options.reasons:
        for reason, count in tally.reasons.most_common(options.reasons):
            print(f"{count:7} {reason}")
    notebook.close()
    return 1 if tally.different or tally.crashed else 0


def _one(notebook: Notebook, cell: Cell, number: int, tally: Tally) -> None:
    try:
        with limited(HANG):
            trial = try_cell(notebook, cell)
            refused = trial.verdict is Verdict.REFUSED
            remedy = refused and has_remedy(notebook, cell, trial.why)
    except OutOfTime:
        tally.crashed += 1
        print(f"\n--- cell {number} hung\n{cell.source}", flush=True)
        return
    except Exception:
        tally.crashed += 1
        print(f"\n--- cell {number} crashed the judge\n{cell.source}\n{traceback.format_exc()}")
        return
    tally.add(trial, remedy=remedy)
    if trial.verdict is Verdict.DIFFERENT:
        tally.different += 1
        print(f"\n--- cell {number}\n{smallest(notebook, cell, trial)}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.property.long", description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--stop-after", type=int, default=20, help="counterexamples (20)")
    parser.add_argument("--reasons", type=int, default=0, help="show the N commonest refusals")
    parser.add_argument("--drawing", action="store_true", help="cells that draw figures")
    parser.add_argument("--pool", action="store_true", help="on the real pool, slower")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
