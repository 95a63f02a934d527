"""Listings: one content as text, in a terminal's colours and as HTML."""

from __future__ import annotations

import ast
import html
import re

import pytest

from mpmagic.cell.dependence import Allowances
from mpmagic.cell.explain import explained, why_refused
from mpmagic.cell.listing import Explanation
from mpmagic.cell.plan import plan_cell
from mpmagic.errors import NotParallel
from mpmagic.show.code import highlighted
from mpmagic.show.listing import Listing
from mpmagic.show.terminal import coloured

CELLS = {
    "stored": "out, total = [], 0\n\nfor x in xs:\n    # half <of> it\n    y = step(x) < 1 & 2\n"
    "    out.append(step(y))\n    total += y\n",
    "long strings": "out = []\nfor x in xs:\n    y = step(f'''a <b>\n\n{x}'''\n        'c')\n"
    "    out.append(y)\n",
    "refused": "state = 1\nfor x in xs:\n    state = step(state, '<&>')\n",
    "calls": "a = step(1)\nb = step(2)\nc = step(a + b)\nprint(c)\n",
}


def explanation_of(cell: str) -> Explanation:
    namespace = {"step": hash, "xs": [1, 2]}
    plan = plan_cell(ast.parse("\n" + cell), namespace, Allowances(), "<cell>")
    text = "%%parallel\n" + cell
    return explained(plan, text) if plan.loops or plan.groups else why_refused(plan, text)


@pytest.fixture(params=CELLS.values(), ids=CELLS)
def explanation(request: pytest.FixtureRequest) -> Explanation:
    return explanation_of(request.param)


def test_colours_change_no_character(explanation: Explanation) -> None:
    shown = coloured(explanation)
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == str(explanation) != shown


def test_html_says_what_the_text_says(explanation: Explanation) -> None:
    page = Listing(explanation)._repr_html_()
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    assert len(rows) == len(explanation.lines)
    for row, line in zip(rows, explanation.lines, strict=True):
        mark, number, text, reason = map(told, re.findall(r"<td.*?</td>", row, re.DOTALL))
        assert (mark, int(number), text) == (line.mark, line.number, line.text)
        assert reason == line.reason.replace("`", "")
    for said in (explanation.before, explanation.after):
        assert said.replace("`", "").replace("\n", "") in told(page)


def told(page: str) -> str:
    """The text of HTML."""
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", page, flags=re.DOTALL))


def test_an_error_that_says_the_rest_leaves_the_lines(explanation: Explanation) -> None:
    alone = Listing(explanation, alone=True)
    assert repr(alone) == explanation.listing
    for said in filter(None, (explanation.before, explanation.after)):
        assert said.replace("`", "") not in told(alone._repr_html_())


def test_what_keeps_a_loop_in_the_kernel_stands_out() -> None:
    page = Listing(explanation_of(CELLS["refused"]))._repr_html_()
    assert [told(row) for row in re.findall(r'<tr class="kernel kept">.*?</tr>', page)] == [
        "kernel4    state = step(state, '<&>')carries state from one iteration to the next"
    ]


def test_the_error_itself_has_the_whole_text() -> None:
    explanation = explanation_of(CELLS["refused"])
    error = NotParallel.of(explanation)
    assert str(error) == str(explanation)
    assert error.explanation is explanation


@pytest.mark.parametrize(
    "source", ["", "\n", "a\n\n", "\n\n'''\n\nb'''\n", "x = 'open\n\ty", "a\\\n"]
)
def test_highlighting_keeps_every_line(source: str) -> None:
    assert [told(line) for line in highlighted(source)] == source.split("\n")
