"""Measure what a loop costs on each engine: `python -m tests.bench.engines`.

Prints, per engine, microseconds of the notebook's kernel per iteration and per chunk (its main
thread's and its helpers' together), the time that a chunk of one iteration takes there and back,
and nanoseconds per captured byte. `tests/bench/scale.py` takes its constants from here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from IPython.core.interactiveshell import InteractiveShell

ITERATIONS = 40_000
CHUNKS = 300
MEGABYTES = 64
LOOP = "out = []\nfor x in xs:\n    y = f(x)\n    out.append(y)\n"
READING = "out = []\nfor x in xs:\n    y = table[x] + 1\n    out.append(y)\n"


class Cost(NamedTuple):
    """What is spent, in seconds: of the clock, and of the kernel's processor."""

    wall: float
    kernel: float


class Bench:
    """A notebook that runs cells on one engine after the other."""

    def __init__(self) -> None:
        self.shell: Any = InteractiveShell.instance()
        self.shell.run_line_magic("load_ext", "mpmagic")
        self.shell.run_cell("def f(x):\n    return x + 1\n")

    def run(self, engine: str, cell: str, options: str = "", **names: Any) -> Cost:
        """The cost of a cell."""
        self.shell.user_ns |= names
        wall, kernel = time.perf_counter(), time.process_time()
        line = f"-q -n 2 --on {engine} {options}"
        self.shell.run_cell_magic("parallel", line, cell)
        return Cost(time.perf_counter() - wall, time.process_time() - kernel)

    def row(self, engine: str) -> str:
        """A line of the table."""
        run = self.run
        run(engine, LOOP, xs=range(64))
        empty = min(run(engine, LOOP, "--chunk 1", xs=range(1)).wall for _ in range(3))
        large = min((run(engine, LOOP, "--chunk 5000", xs=range(ITERATIONS)) for _ in range(3)),
                    key=lambda cost: cost.kernel)  # fmt: skip
        small = min((run(engine, LOOP, "--chunk 1", xs=range(CHUNKS)) for _ in range(3)),
                    key=lambda cost: cost.kernel)  # fmt: skip
        first = run(engine, READING, "--chunk 1", xs=range(8), table=_table(1))
        again = run(engine, READING, "--chunk 1", xs=range(8), table=self.shell.user_ns["table"])
        nbytes = MEGABYTES << 20
        each = large.kernel / ITERATIONS
        return (
            f"| {engine:9} | {each * 1e6:.1f} | {(small.kernel / CHUNKS - each) * 1e6:.0f} | "
            f"{small.wall / CHUNKS * 1e6:.0f} | {empty * 1e3:.0f} | "
            f"{first.wall / nbytes * 1e9:.1f} | {again.wall / nbytes * 1e9:.1f} |"
        )


def _table(seed: int) -> Any:
    return np.random.default_rng(seed).random((MEGABYTES << 20) // 8)


@contextmanager
def dask_client() -> Iterator[Any]:
    """A client of a scheduler with two workers, processes of their own."""
    from distributed import Client

    folder = tempfile.mkdtemp()
    file = Path(folder) / "scheduler.json"
    command = [sys.executable, "-m"]
    quiet: dict[str, Any] = {"cwd": folder, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [*command, "distributed.cli.dask_scheduler", *options, "--host", "127.0.0.1",
                 "--port", "0"]  # fmt: skip
    worker = [*command, "distributed.cli.dask_worker", *options, "--nthreads", "1", "--no-nanny"]
    processes = [subprocess.Popen(c, **quiet) for c in (scheduler, worker, worker)]
    try:
        with Client(scheduler_file=str(file), timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
            yield client
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def ipyparallel_client() -> Iterator[Any]:
    """A client of a controller with two engines."""
    import ipyparallel

    os.environ["IPYTHONDIR"] = tempfile.mkdtemp()
    with ipyparallel.Cluster(n=2, ipython_dir=os.environ["IPYTHONDIR"], log_level=40) as client:
        yield client


def main() -> None:
    bench = Bench()
    print("| engine | kernel, us per iteration | kernel, us per chunk | us per chunk of one "
          "| ms per cell | ns per captured byte | the same again |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    with ExitStack() as stack:
        executor = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
        bench.shell.user_ns["executor"] = stack.enter_context(executor)
        for engine in ("processes", "threads", "executor"):
            print(bench.row(engine), flush=True)
    for name, make in (("dask", dask_client), ("ipyparallel", ipyparallel_client)):
        with make() as client:
            bench.shell.user_ns[name] = client
            print(bench.row(name), flush=True)


if __name__ == "__main__":
    main()
