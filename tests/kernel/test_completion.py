"""Tab behind the magics, in a real kernel as a front end asks, and the pages of their help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mpmagic.options import parallel_parser, pool_parser
from tests.kernel.session import KernelSession, kernel

CELL = """%%parallel {}
model, scores = Model(), []
for x in xs:
    model.fit(x, depth=3)
    scores.append(model.score(x))
"""


@pytest.fixture(scope="module")
def session() -> Iterator[KernelSession]:
    with kernel() as running:
        running.execute("xs = [1, 2]\nclass Model:\n    pass")
        yield running


def completed(session: KernelSession, code: str, line: str) -> tuple[list[str], str]:
    """What completes a cell at the end of a line of it, and the text that is replaced."""
    reply = session.complete(code, code.index(line) + len(line))
    return reply["matches"], code[reply["cursor_start"] : reply["cursor_end"]]


@pytest.mark.parametrize(
    ("options", "matches", "replaced"),
    [
        ("--pri", ["--private"], "--pri"),
        ("-n 2 --ex", ["--explain"], "--ex"),
        ("--explain --ex", [], None),
        ("--private ", ["model", "scores", "xs", "Model", "x"], ""),
        ("--private=sc", ["scores"], "sc"),
        ("--private model,s", ["scores"], "s"),
        ("--local model,scores,m", [], None),
    ],
)
def test_options_and_the_names_of_the_cell(
    session: KernelSession, options: str, matches: list[str], replaced: str | None
) -> None:
    code = CELL.format(options)
    found, text = completed(session, code, f"%%parallel {options}")
    if not matches:
        assert not any(match.startswith("-") or match == "model" for match in found)
        return
    assert sorted(found) == sorted(matches)
    assert text == replaced


def test_every_option_is_offered(session: KernelSession) -> None:
    found, _ = completed(session, CELL.format(""), "%%parallel ")
    flags = {flag for action in parallel_parser()._actions for flag in action.option_strings}
    assert set(found) == flags


def test_a_cell_that_is_still_being_written(session: KernelSession) -> None:
    code = "%%parallel --private \nfor x in xs:\n    model.fit(x"
    found, _ = completed(session, code, "%%parallel --private ")
    assert set(found) == {"x", "xs", "model"}


def test_names_of_the_notebook_where_the_cell_is_empty(session: KernelSession) -> None:
    found, _ = completed(session, "%%parallel --local ", "%%parallel --local ")
    assert {"xs", "Model"} <= set(found)
    assert "In" not in found


@pytest.mark.parametrize(
    ("line", "matches"),
    [
        ("%mppool ", None),
        ("%mppool re", ["restart"]),
        ("%mppool --start ", ["forkserver", "spawn"]),
        ("%mpcount --by", ["--by", "--by-time", "--bytes"]),
        ("n = %mpcount --match GET --mat", ["--match"]),
        ("out = %parallel --pri", ["--private"]),
        ("%parallel -n 2 --ex", ["--explain"]),
        ("%parallel --local Mod", ["Model"]),
    ],
)
def test_other_magics(session: KernelSession, line: str, matches: list[str] | None) -> None:
    found, _ = completed(session, line, line)
    if matches is None:
        flags = {flag for action in pool_parser()._actions for flag in action.option_strings}
        matches = ["stop", "restart", "forget", *flags]
    assert sorted(found) == sorted(matches)


def test_files_complete_behind_mpcount(session: KernelSession, tmp_path: Any) -> None:
    (tmp_path / "server.log").write_text("a\n")
    line = f"%mpcount -w {tmp_path}/ser"
    found, _ = completed(session, line, line)
    assert [match for match in found if match.endswith("server.log")]


@pytest.mark.parametrize("line", ["out = %parallel [xs.app", "%parallel -n 2 xs.app"])
def test_the_expression_is_completed_as_ever(session: KernelSession, line: str) -> None:
    found, _ = completed(session, line, line)
    assert [match for match in found if match.endswith("append")]


def test_a_minus_in_the_expression_is_no_option(session: KernelSession) -> None:
    found, _ = completed(session, "%parallel [3 -", "%parallel [3 -")
    assert not [match for match in found if match.startswith("--")]


def test_the_body_of_the_cell_is_completed_as_ever(session: KernelSession) -> None:
    code = "%%parallel --private \nfor x in xs:\n    xs.app"
    found, _ = completed(session, code, "xs.app")
    assert [match for match in found if match.endswith("append")]


def test_a_second_load_asks_once(session: KernelSession) -> None:
    assert session.execute("%reload_ext mpmagic").status == "ok"
    count = "sum('Completion' in m.__qualname__ for m in get_ipython().Completer.custom_matchers)"
    assert session.value(count) == 1


@pytest.mark.parametrize("magic", ["%%parallel", "%parallel", "%mpcount", "%mppool"])
def test_help_is_a_page_with_every_option(session: KernelSession, magic: str) -> None:
    page = session.help(f"{magic}?")
    told = session.execute(f"{magic} -h\n" + ("1" if magic == "%%parallel" else "")).stream()
    told = re.sub(r"\x1b\[[\d;]*m", "", told)  # from Python 3.14 on, it's in colours
    options = re.findall(r"^  (-\S+)", told, re.MULTILINE)
    assert len(options) >= 4
    lines = [line.strip() for line in page.splitlines()]
    for line in told.strip().splitlines():
        assert line.strip() in lines
    assert "Examples" in page and f"\n    {magic}" in page
