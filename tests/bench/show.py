"""Measure what being looked at costs: `python -m tests.bench.show`.

200,000 trivial iterations on two workers. Processor time of the kernel and its workers is counted,
which says more than a clock on a machine that has other things to do.
"""

from __future__ import annotations

import contextlib
import io
import statistics

import psutil
from IPython.core.interactiveshell import InteractiveShell

CELL = "%%parallel {options} -n 2\nout = []\nfor x in range(200_000):\n    out.append(x * x + 1)"
ROUNDS = 12


def used() -> float:
    """Seconds of processor time of this process and those that it has started."""
    here = psutil.Process()
    times = [p.cpu_times() for p in (here, *here.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def cost(shell: InteractiveShell, options: str) -> list[float]:
    """Seconds of each run."""
    runs = []
    for _ in range(ROUNDS):
        before = used()
        with contextlib.redirect_stdout(io.StringIO()):
            shell.run_cell(CELL.format(options=options)).raise_error()
        runs.append(used() - before)
    return runs


def main() -> None:
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "mpmagic")
    cost(shell, "-q")
    for options in ("-q", "", "--timeline", "--profile"):
        runs = cost(shell, options)
        told = f"{min(runs):.3f} s at best, {statistics.median(runs):.3f} s in the middle"
        print(f"{options or 'no option':<12} {told}")
    shell.magics_manager.registry["ParallelMagics"].close()


if __name__ == "__main__":
    main()
