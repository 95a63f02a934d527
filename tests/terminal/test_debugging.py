"""The debugger after a parallel cell that failed, in a pseudo terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.terminal.session import enter, ipython

HALVES = "def halves(x):\n    y = x - 2\n    return 1 // y"
FAILS = "%%parallel -q -n 2\nfor x in range(5):\n    z = halves(x)\n    w = z + 1"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[pexpect.spawn]:
    with ipython(tmp_path) as child:
        enter(child, HALVES)
        child.expect_exact("In [3]: ")
        yield child


def asked(shell: pexpect.spawn, command: str) -> str:
    """What the debugger answers."""
    shell.sendline(command)
    shell.expect_exact("ipdb> ")
    return str(shell.before)


def test_post_mortem(shell: pexpect.spawn) -> None:
    """The frames are the cell's own and the notebook's, with their variables."""
    enter(shell, FAILS)
    shell.expect_exact("In [4]: ")
    assert "----> 3     return 1 // y" in asked(shell, "%debug")
    assert "(2, 0)" in asked(shell, "p (x, y)")
    assert "----> 3     z = halves(x)" in asked(shell, "up")
    assert "(2, -1)" in asked(shell, "p (x, z)")
    assert "mpmagic" not in asked(shell, "w")
    shell.sendline("q")
    shell.expect_exact("In [5]: ")


def test_it_opens_by_itself(shell: pexpect.spawn) -> None:
    shell.sendline("%pdb on")
    shell.expect_exact("In [4]: ")
    enter(shell, FAILS)
    shell.expect_exact("ipdb> ")
    assert "----> 3     return 1 // y" in shell.before
    assert asked(shell, "p y").strip() == "0"
    shell.sendline("q")
    shell.expect_exact("In [5]: ")
    enter(shell, "%%parallel -q -n 2\nout = [halves(x) for x in [0, 1, 3]]\nout")
    shell.expect_exact("[-1, -1, 1]")
