"""Run cells and watch the memory of kernel and workers: `python -m tests.soak.cells CELLS`.

Prints the proportional and the resident memory of the kernel and of its workers at each tenth of
the way. Whatever grows with the number of cells shows as a line that never levels out.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator

import psutil

from tests.notebook import Notebook

_CELLS = (
    "out = []\nfor x in range(6):\n    out.append(x ** 2)",
    "import numpy as np\ndata = np.full(50_000, {i})\nsums = []\n"
    "for x in range(4):\n    sums.append(int(data.sum()) + x)",
    "def f(x):\n    return x + {i}\nfound = {{}}\nfor x in range(4):\n    found[x] = f(x)",
    "class C:\n    def __init__(self, x):\n        self.x = x\nmade = []\n"
    "for x in range(4):\n    made.append(C(x))",
    "for x in range(3):\n    print(x, {i})",
    "for x in range(3):\n    y = 1 / (x - 1)",
    "back = [np.ones(100_000) * x for x in range(3)]",
)


def cells(count: int) -> Iterator[str]:
    """Cells of several kinds, none like the one before."""
    for i in range(count):
        yield "%%parallel -q -n 2\n" + _CELLS[i % len(_CELLS)].format(i=i)


def memory() -> str:
    """Megabytes of the kernel and of each process of its pool: proportional, resident."""
    gc.collect()
    kernel = psutil.Process()
    processes = [kernel, *kernel.children(recursive=True)]
    return "  ".join(_of(p) for p in processes)


def _of(process: psutil.Process) -> str:
    full = process.memory_full_info()
    return f"{full.pss / 2**20:6.1f} {full.rss / 2**20:6.1f} ({process.num_fds()} fds)"


def main(count: int = 10_000) -> None:
    """Run the cells."""
    notebook = Notebook()
    notebook.on_pool()
    begun = time.monotonic()
    for number, source in enumerate(cells(count), 1):
        notebook.shell.run_cell(source, store_history=False)
        if number == 100 or number % (count // 10) == 0:
            print(
                f"{number:6} cells {time.monotonic() - begun:6.0f} s  {memory()}",
                file=sys.__stderr__,
                flush=True,
            )
    notebook.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
