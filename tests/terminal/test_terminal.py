"""IPython in a pseudo terminal: a cell, Ctrl-C, the next cell, the end."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.kernel.session import gone
from tests.terminal.session import DEADLINE, enter, ipython


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[pexpect.spawn]:
    with ipython(tmp_path) as child:
        yield child


def test_a_cell_an_interrupt_and_the_end(terminal: pexpect.spawn) -> None:
    enter(terminal, "%%parallel -q -n 2\nout = [x ** 2 for x in range(5)]\nout")
    terminal.expect_exact("[0, 1, 4, 9, 16]")
    terminal.expect(r"In \[3\]: ")

    loop = (
        "%%parallel -q -n 2\nimport time\nfor x in range(1000):\n    time.sleep(0.05)\n"
        "    print('item', x, flush=True)"
    )
    enter(terminal, loop)
    terminal.expect_exact("item 3")
    terminal.sendintr()
    terminal.expect_exact("KeyboardInterrupt")
    terminal.expect(r"In \[4\]: ")

    enter(terminal, "%%parallel -q -n 2\nout = [x + 1 for x in range(5)]\nout")
    terminal.expect_exact("[1, 2, 3, 4, 5]")
    terminal.expect(r"In \[5\]: ")

    children = psutil.Process(terminal.pid).children(recursive=True)
    assert children, "there is a pool to leave behind"
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)
    assert gone(children), [p for p in children if p.is_running()]


def test_refusal_is_readable(terminal: pexpect.spawn) -> None:
    enter(terminal, "%%parallel\nstate = 1\nfor x in range(5):\n    state = hash((state, x))")
    terminal.expect_exact("NotParallel")
    terminal.expect_exact("state")
    terminal.expect(r"In \[3\]: ")


def test_colours_where_the_terminal_has_them(tmp_path: Path) -> None:
    """The same text with them and without; a dumb terminal and NO_COLOR have none."""
    shown = {name: refusal_in(tmp_path, env) for name, env in TERMINALS.items()}
    assert "\x1b[1;2mkernel\x1b[0m" in shown["coloured"]
    assert "\x1b[31mNotParallel\x1b[0m" in shown["coloured"]
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown["coloured"])
    assert plain == shown["dumb"] == shown["NO_COLOR"]
    assert "kernel    4     state = hash((state, x))" in plain


TERMINALS = {
    "coloured": {"TERM": "xterm-256color"},
    "dumb": {"TERM": "dumb"},
    "NO_COLOR": {"TERM": "xterm-256color", "NO_COLOR": "1"},
}


def refusal_in(folder: Path, env: dict[str, str]) -> str:
    """What a terminal shows of a refused cell, from its name on."""
    script = (
        "from IPython.terminal.interactiveshell import TerminalInteractiveShell as Shell\n"
        "shell = Shell.instance()\nshell.run_line_magic('load_ext', 'mpmagic')\n"
        "shell.run_cell('%%parallel\\nstate = 1\\nfor x in range(5):\\n"
        "    state = hash((state, x))', store_history=True)\nprint('END')"
    )
    settings = {**os.environ, "IPYTHONDIR": str(folder), **env}
    child = pexpect.spawn(
        sys.executable, ["-c", script], env=settings, encoding="utf-8", timeout=DEADLINE
    )
    child.expect_exact("END")
    found = re.search(r"(?:\x1b\[31m)?NotParallel.*", str(child.before), re.DOTALL)
    assert found, child.before
    child.expect(pexpect.EOF)
    child.close()
    return found[0]
