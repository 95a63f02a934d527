"""Bars, timelines, profiles and the live table as a front end gets them from a real kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kernel.session import KernelSession, Reply, kernel

SETUP = (
    "import time\n\ndef slow(x, seconds=0.05):\n    time.sleep(seconds)\n    return x\n\nout = []"
)
LOOP = "for x in range(60):\n    y = slow(x)\n    print(x)\n    out.append(y)"


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        running.execute(SETUP)
        warm = running.execute("%%parallel -q -n 2\nfor x in range(8):\n    out.append(slow(x))")
        assert warm.status == "ok", warm.traceback
        yield running


def states(reply: Reply) -> list[str]:
    """What the one display of the bar showed, one state after the other."""
    shown = [m["content"] for m in reply.messages if m["msg_type"] == "display_data"]
    bars = [c for c in shown if c["transient"].get("display_id")]
    assert len(bars) == 1
    ident = bars[0]["transient"]["display_id"]
    updates = [c for c in reply.of("update_display_data") if c["transient"]["display_id"] == ident]
    return [str(c["data"]["text/plain"]) for c in (bars[0], *updates)]


def test_a_bar_is_one_display_that_becomes_the_summary(session: KernelSession) -> None:
    reply = session.execute(f"%%parallel -n 2\n{LOOP}\nlen(out)")
    assert reply.status == "ok", reply.traceback
    *bars, over, last = states(reply)
    assert len(reply.of("display_data")) == 1
    done = [int(re.search(r"(\d+) of 60 iterations", bar)[1]) for bar in bars]  # type: ignore[index]
    assert done == sorted(done) and 0 < done[0] < 60
    pace = re.compile(r"\d%, ([\d.]+ m?s left, )?[\d.]+/s$")
    late = [bar for bar in bars if "has run for" in bar]  # on a machine that is busy otherwise
    assert all(pace.search(bar) for bar in bars if bar not in late)
    assert any(" left, " in bar for bar in bars)
    assert len(bars) <= 12  # 1.5 s, one of them silent, five a second; and a slow machine
    assert over.startswith("%%parallel: line 2: 60 iterations")
    assert last.startswith("%%parallel: 60 iterations in ")
    assert reply.stream() == "".join(f"{x}\n" for x in range(60))
    assert not reply.stream("stderr")


def test_loops_of_a_cell_share_one_display(session: KernelSession) -> None:
    cell = (
        "%%parallel -n 2\nfor x in range(50):\n    out.append(slow(x))\n"
        "while epoch < 2:\n    epoch += 1\n    print(epoch)\n"
        "    for x in out[:30]:\n        total += slow(x)"
    )
    session.execute("out, total, epoch = [], 0, 0")
    reply = session.execute(cell)
    assert reply.status == "ok", reply.traceback
    assert reply.stream() == "1\n2\n"
    *bars, _, last = states(reply)
    assert any("line 2: 50 iterations" in bar and "\n%%parallel: line 7: " in bar for bar in bars)
    assert any("\n%%parallel: line 7, pass 2: " in bar for bar in bars)
    assert "110 iterations in " in last


def test_quiet_is_quiet(session: KernelSession) -> None:
    reply = session.execute(f"%%parallel -q -n 2\n{LOOP}")
    assert not reply.of("display_data")
    assert not reply.of("update_display_data")


def test_an_unknown_length_gives_a_rate(session: KernelSession) -> None:
    cell = "%%parallel -n 2\nfor x in (n for n in range(60)):\n    out.append(slow(x))"
    bars = states(session.execute(cell))[:-2]
    assert all(re.search(r"\d+ iterations, [\d.]+/s, ", bar) for bar in bars)


def test_the_iteration_that_holds_up_the_end_is_named(session: KernelSession) -> None:
    work = "slow(x, 3.0 if x == 18 else 0.01)"
    cell = f"%%parallel -n 2 --chunk 1\nfor x in range(20):\n    out.append({work})"
    waiting = [bar for bar in states(session.execute(cell)) if "iteration 18" in bar]
    assert waiting
    assert all("19 of 20 iterations" in bar and "so far" in bar for bar in waiting)


def test_an_interrupt_leaves_no_half_bar(session: KernelSession) -> None:
    session.execute("out.clear()")
    ident = session.start(
        "%%parallel -n 2\nfor x in range(1000):\n    y = slow(x)\n    out.append(y)\n"
        "    if x == 45:\n        print('now', flush=True)"
    )
    before = session.finish(ident, until="now")
    session.interrupt()
    after = session.finish(ident)
    assert after.status == "error"
    *_, last = states(Reply(before.messages + after.messages))
    count = session.value("len(out)")
    assert last.startswith(f"%%parallel: interrupted after {count} of 1,000 iterations")


def test_an_error_leaves_no_half_bar(session: KernelSession) -> None:
    cell = f"%%parallel -n 2\n{LOOP}\n    if x == 50:\n        raise ValueError('fifty')"
    reply = session.execute(cell)
    assert reply.content["ename"] == "ValueError"
    *_, last = states(reply)
    assert last.startswith("%%parallel: ended by an error after 50 of 60 iterations")


def test_calls_have_a_bar_too(session: KernelSession) -> None:
    cell = "%%parallel -n 2\na = slow(1, 1.5)\nb = slow(2, 0.1)\nc = slow(3, 0.1)\n(a, b, c)"
    reply = session.execute(cell)
    assert reply.result == "(1, 2, 3)"
    assert states(reply)[0].startswith("%%parallel: line 2: 2 of 3 calls, 66%")


def test_a_bar_of_the_users_own_is_the_only_one(session: KernelSession) -> None:
    cell = "%%parallel -n 2\nfor x in tqdm(range(60)):\n    out.append(slow(x))"
    session.execute("from tqdm import tqdm")
    reply = session.execute(cell)
    assert [c["data"]["text/plain"][:24] for c in reply.of("display_data")] == [
        "%%parallel: 60 iteration"
    ]
    assert "60/60" in reply.stream("stderr")


def test_pictures_come_when_they_are_asked_for(session: KernelSession) -> None:
    reply = session.execute(f"%%parallel -n 2 -q --timeline --profile\n{LOOP}")
    timeline, profile = (c["data"] for c in reply.of("display_data"))
    assert "<svg" in timeline["text/html"]
    assert timeline["text/plain"].count("% work") == 2
    shares = re.findall(r"(\d+)% work", timeline["text/plain"])
    assert all(int(share) > 20 for share in shares)
    work = profile["text/plain"].splitlines()
    assert "y = slow(x)" in work[3]
    assert int(re.search(r"(\d+)%", work[3])[1]) > 80  # type: ignore[index]
    assert "slow, cell 2 line 4  time.sleep(seconds)" in profile["text/plain"]


def test_pictures_of_calls(session: KernelSession) -> None:
    cell = "%%parallel -n 2 -q --timeline --profile\na = slow(1, 0.2)\nb = slow(2, 0.2)"
    timeline, profile = (c["data"] for c in session.execute(cell).of("display_data"))
    assert "line 2: " in timeline["text/html"] and "line 3: " in timeline["text/html"]
    assert "a = slow(1, 0.2)" in profile["text/plain"]
    assert profile["text/plain"].count("50%") >= 2 or "slow, cell 2" in profile["text/plain"]


def test_pictures_survive_an_error(session: KernelSession) -> None:
    reply = session.execute("%%parallel -q --timeline\nfor x in range(9):\n    y = 1 / (x - 5)")
    assert reply.content["ename"] == "ZeroDivisionError"
    assert "<svg" in reply.of("display_data")[0]["data"]["text/html"]


def test_capture_has_no_states_of_a_bar(session: KernelSession) -> None:
    reply = session.execute(f"%%capture got\n%%parallel -n 2\n{LOOP}")
    assert reply.status == "ok", reply.traceback
    assert not reply.of("display_data") and not reply.of("update_display_data")
    kept = session.value("[o.data['text/plain'] for o in got.outputs]")
    assert len(kept) == 1 and kept[0].startswith("%%parallel: 60 iterations")


def test_the_table_of_workers_lives_on(session: KernelSession) -> None:
    shown = session.execute("%mppool").of("display_data")
    ident = shown[0]["transient"]["display_id"]
    reply = session.execute(f"%%capture got\n%%parallel -n 2\n{LOOP}")
    tables = [
        c["data"]["text/plain"]
        for c in reply.of("update_display_data")
        if c["transient"]["display_id"] == ident
    ]
    assert any("busy   iteration" in table for table in tables)
    assert session.value("len(got.outputs)") == 1  # it isn't that cell's output
    other = session.execute("%mppool").of("display_data")
    assert other[0]["transient"]["display_id"] != ident
    later = session.execute(f"%%parallel -q -n 2\n{LOOP}").of("update_display_data")
    assert later and ident not in [c["transient"]["display_id"] for c in later]


def test_help_tells_the_options(session: KernelSession) -> None:
    text = session.execute("%%parallel --help\npass").stream()
    assert "--timeline" in text and "--profile" in text


def test_a_saved_notebook_has_one_output_for_the_bar() -> None:
    cells: list[Any] = [
        nbformat.v4.new_code_cell(f"%load_ext mpmagic\n{SETUP}"),
        nbformat.v4.new_code_cell("%%parallel -n 2\nfor x in range(60):\n    out.append(slow(x))"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[1].outputs
    assert output.data["text/plain"].startswith("%%parallel: 60 iterations in ")
