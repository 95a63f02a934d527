"""The bar in a real terminal: it moves, it never mixes with what the cell writes, and it goes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

DEADLINE = 60
WIDTH = 100


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pexpect.spawn]:
    home: Path = tmp_path_factory.mktemp("ipython")
    arguments = ["-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner"]
    child = pexpect.spawn(
        sys.executable,
        arguments,
        env={**os.environ, "IPYTHONDIR": str(home), "TERM": "dumb"},
        encoding="utf-8",
        timeout=DEADLINE,
        echo=False,
        dimensions=(40, WIDTH),
    )
    child.expect_exact("In [1]: ")
    child.sendline("%load_ext mpmagic")
    child.expect_exact("In [2]: ")
    child.sendline("import time")
    child.expect_exact("In [3]: ")
    yield child
    child.close(force=True)


def cell(child: pexpect.spawn, source: str) -> str:
    """Type a cell; all that the terminal is sent until the next prompt."""
    for line in [*source.splitlines(), "", ""]:
        child.sendline(line)
    child.expect(r"In \[\d+\]: $")
    return str(child.before)


def screen(sent: str) -> list[str]:
    """The lines that are left to see, as a terminal shows carriage returns."""
    lines = []
    for line in sent.replace("\r\n", "\n").split("\n"):
        seen: list[str] = []
        for piece in line.split("\r"):
            seen[: len(piece)] = piece
        lines.append("".join(seen).rpartition("...: ")[2].rstrip())  # without the prompts
    return lines


def test_bar_and_output_do_not_mix(terminal: pexpect.spawn) -> None:
    sent = cell(
        terminal,
        "%%parallel -n 2\nfor x in range(60):\n    time.sleep(0.05)\n    print('item', x)",
    )
    bars = re.findall(r"(\d+)/60 \[\d\d:\d\d<", sent)
    assert bars and list(map(int, bars)) == sorted(map(int, bars))
    left = screen(sent)
    assert [line for line in left if "item" in line] == [f"item {x}" for x in range(60)]
    assert not any("/60" in line for line in left)
    assert sum("60 iterations in" in line for line in left) == 1
    assert all(len(line) < WIDTH for line in left)


def test_an_interrupt_wipes_the_bar(terminal: pexpect.spawn) -> None:
    for line in ["%%parallel -n 2", "for x in range(900):", "    time.sleep(0.05)", "", ""]:
        terminal.sendline(line)
    terminal.expect(r"\d+/900 \[")
    begun = terminal.before + terminal.after
    terminal.sendintr()
    terminal.expect(r"In \[\d+\]: $")
    left = screen(begun + terminal.before)
    assert any("KeyboardInterrupt" in line for line in left)
    assert not any("/900" in line for line in left)


def test_quiet_is_quiet(terminal: pexpect.spawn) -> None:
    sent = cell(terminal, "%%parallel -q -n 2\nfor x in range(40):\n    time.sleep(0.08)")
    assert "/40" not in sent and "iterations" not in sent


def test_the_timeline_is_text(terminal: pexpect.spawn) -> None:
    sent = cell(
        terminal,
        "%%parallel -q --timeline --profile -n 2\nfor x in range(20):\n    time.sleep(0.01)",
    )
    assert re.search(r"worker 1 ▕[█▒·]{60}▏ \d+% work", sent)
    assert re.search(r"\d+% █* *.?.? *3 +time.sleep", sent), sent


def test_the_table_of_workers_is_text(terminal: pexpect.spawn) -> None:
    sent = cell(terminal, "%mppool")
    assert "CPU time" in sent and "idle" in sent
