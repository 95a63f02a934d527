"""The bar in a real terminal: it moves, it never mixes with what the cell writes, and it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pexpect
import pytest

from tests.terminal.session import PROMPT, WIDTH, enter, ipython


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pexpect.spawn]:
    with ipython(tmp_path_factory.mktemp("ipython")) as child:
        child.sendline("import time")
        child.expect_exact("In [3]: ")
        yield child


def cell(child: pexpect.spawn, source: str) -> str:
    """Type a cell; all that the terminal is sent until the next prompt."""
    enter(child, source)
    child.expect(PROMPT)
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
    enter(terminal, "%%parallel -n 2\nfor x in range(900):\n    time.sleep(0.05)")
    terminal.expect(r"\d+/900 \[")
    begun = terminal.before + terminal.after
    terminal.sendintr()
    terminal.expect(PROMPT)
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
    cell(terminal, "%%parallel -q -n 2\nfor x in range(2):\n    time.sleep(0.01)")
    sent = cell(terminal, "%mppool")
    assert "CPU time" in sent and "idle" in sent
