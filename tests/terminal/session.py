"""IPython in a pseudo terminal, with the extension loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

__all__ = ["DEADLINE", "PROMPT", "WIDTH", "enter", "ipython"]

DEADLINE = 60
WIDTH = 100
PROMPT = r"In \[\d+\]: $"


@contextmanager
def ipython(home: Path) -> Iterator[pexpect.spawn]:
    """A session at its second prompt, its files in `home`."""
    arguments = ["-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner"]
    env = {**os.environ, "IPYTHONDIR": str(home), "TERM": "dumb"}
    child = pexpect.spawn(
        sys.executable,
        arguments,
        env=env,
        encoding="utf-8",
        timeout=DEADLINE,
        echo=False,
        dimensions=(40, WIDTH),
    )
    child.expect_exact("In [1]: ")
    child.sendline("%load_ext mpmagic")
    child.expect_exact("In [2]: ")
    yield child
    child.close(force=True)


def enter(child: pexpect.spawn, source: str) -> None:
    """Type a cell, and the empty lines that end it."""
    for line in [*source.splitlines(), "", ""]:
        child.sendline(line)
