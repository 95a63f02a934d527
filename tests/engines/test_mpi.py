"""An executor of MPI's, whose workers are ranks that it spawns, like any other executor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")

PROGRAM = """
import os
from mpi4py.futures import MPIPoolExecutor
from tests.compare import assert_equal
from tests.engines.names import named
from tests.engines.test_executors import CELL, SETUP
from tests.notebook import Notebook

if __name__ == "__main__":
    notebook = Notebook()
    with MPIPoolExecutor(2) as engine, named(notebook, engine=engine):
        for chunk in ("", "--chunk 1"):
            judgement = assert_equal(
                notebook, CELL, setup=SETUP, options=f"--on engine {chunk}"
            )
            assert judgement.parallel.report.split == 1
        bad = "out = [1 // (x - 5) for x in range(9)]"
        assert_equal(notebook, bad, options="--on engine")
        cell = "import os\\npids = [os.getpid() for x in range(40)]"
        found = notebook.run("", f"%%parallel --on engine --chunk 1\\n{cell}").names["pids"]
        print("ranks", len(set(found)), os.getpid() in found)
    notebook.close()
"""


def test_ranks(tmp_path: Path) -> None:
    """In a process of its own: MPI ends the process that it doesn't like."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    tools = Path(sys.executable).parent  # where a wheel of MPI's puts `mpiexec`
    env = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    done = subprocess.run(
        [sys.executable, program], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] in ("ranks 1 False", "ranks 2 False"), done.stdout
