"""What workers are forked from has their modules, and starts no threads."""

from __future__ import annotations

import subprocess
import sys

from mpmagic.pool import Pool
from mpmagic.workforce import _PRELOAD

LOADED = """\
import sys, threading
import mpmagic.pool.forkserver, {modules}
heavy = ("numpy", "pandas", "IPython", "mpmagic.cell.plan", "hashlib", "argparse")
print(threading.active_count(), [m for m in heavy if m in sys.modules])
"""


def modules() -> list[str]:
    return sorted(sys.modules)


def test_what_is_preloaded_starts_no_threads_and_is_light() -> None:
    code = LOADED.format(modules=", ".join(_PRELOAD))
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "1 []\n"


def test_preloaded() -> None:
    with Pool(1, preload=["colorsys", "no_such_module"]) as pool:
        assert "colorsys" in pool.submit(modules).result()
