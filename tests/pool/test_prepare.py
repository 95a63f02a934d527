"""What workers are forked from: it's there before they are asked for, and starts no threads."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from mpmagic.pool import Pool
from mpmagic.workforce import _PRELOAD
from tests.pool.waiting import until

LOADED = """\
import sys, threading
import mpmagic.pool.forkserver, {modules}
print(threading.active_count(), [m for m in ("numpy", "pandas", "IPython") if m in sys.modules])
"""


def modules() -> list[str]:
    return sorted(sys.modules)


def test_what_is_preloaded_starts_no_threads() -> None:
    code = LOADED.format(modules=", ".join(_PRELOAD))
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "1 []\n"


def test_prepared() -> None:
    """One process more, no worker; the first task is done by a worker of it."""
    before = {child.pid for child in psutil.Process().children()}
    with Pool(1, preload=["colorsys", "no_such_module"]) as pool:
        pool.prepare()
        until(lambda: len({c.pid for c in psutil.Process().children()} - before) == 1)
        assert not pool.workers()
        assert "colorsys" in pool.submit(modules).result()
        pool.prepare()
        assert len({c.pid for c in psutil.Process().children()} - before) == 1
    assert {c.pid for c in psutil.Process().children()} <= before


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_prepared_and_never_used(method: str) -> None:
    with Pool(1, mp_context=method) as pool:
        pool.prepare()
